"""Matrix products with low-bit weights, by every library that can be installed on this machine, measured side by side.

`problem` makes weights and activations, the contenders (`vmc_kernels`, `ggml`, `onnx_runtime`, `openvino_runtime`,
`torch_ops`) store them each in its own format, `checking` compares their products with float64, `timing` runs them
interleaved, `bandwidth` reads memory as fast as it goes, and `report`, `plot`, `machine` say what came out.
"""
