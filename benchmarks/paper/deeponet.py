"""DeepONet: a step of training against torch, and the operators' values against scipy's solver."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from deeponet.functions import Functions
from deeponet.network import DeepONet
from networks.kernels import Layers
from scipy.integrate import solve_ivp  # type: ignore[import-untyped]

from benchmarks.paper.contest import Contest


def contests(quick: bool) -> Iterator[Contest]:
    """64 functions at 16 places, and 100 Riccati equations; 8 and 2 where `quick`."""
    count, places = (8, 4) if quick else (64, 16)
    rng = np.random.default_rng(0)
    u, x, wanted = (rng.standard_normal(shape, np.float32) for shape in ((count, 101), (places, 1), (count, places)))
    network = DeepONet(Layers(), 101, 1, seed=0)
    parts = (network.branch.parameters, network.trunk.parameters, network.bias)
    copies = [{n: torch.from_numpy(v.copy()).requires_grad_() for n, v in part.values.items()} for part in parts]
    leaves = [leaf for copy in copies for leaf in copy.values()]
    optimizer = torch.optim.Adam(leaves, lr=1e-3, fused=True)
    tu, tx, tw = map(torch.from_numpy, (u, x, wanted))
    branch, trunk, bias = copies

    def forward() -> torch.Tensor:
        of_u = torch.relu(torch.addmm(branch["b0"], tu, branch["w0"].T)) @ branch["w1"].T + branch["b1"]
        h = tx
        for place in range(3):
            h = torch.relu(torch.addmm(trunk[f"b{place}"], h, trunk[f"w{place}"].T))
        return of_u @ h.T + bias["bias"]

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(forward(), tw).backward()  # type: ignore[no-untyped-call]
        optimizer.step()  # type: ignore[no-untyped-call]

    def apart() -> float:
        """After one step each: the command has run both once."""
        return float(np.abs(network.forward(u, x)[0] - forward().detach().numpy()).max())

    yield Contest(
        f"step of training, {count} x {places}", "torch", lambda: network.step(u, x, wanted, 1e-3), step, apart, 1e-3
    )
    functions = Functions(places=201)
    drawn = functions.draw(2 if quick else 100, seed=1)
    grid = np.linspace(0, 1, 201)

    def solved() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        def right(t: float, s: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> object:
            at = min(int(t * 200), 199)
            share = t * 200 - at
            return (1 - share) * drawn[:, at] + share * drawn[:, at + 1] - s * s

        y: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
        y = solve_ivp(right, (0, 1), np.zeros(len(drawn)), t_eval=grid[::2], rtol=1e-6, atol=1e-8).y
        return y

    yield Contest(
        f"riccati, {len(drawn)} functions",
        "scipy solve_ivp, all at once",
        lambda: functions.solve(drawn, "riccati"),
        solved,
        lambda: float(np.abs(functions.solve(drawn, "riccati") - solved()).max()),
        1e-3,
    )
