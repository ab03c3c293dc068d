"""The MiniLM example against torch, scipy and exhaustive search; what needs the trained weights skips without them."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from minilm import agreement, between, command, model, weights
from minilm.between import NUMPY, VmcBetween
from minilm.linear import NumpyLinear, VmcLinear, dense
from minilm.peers import PEERS, MissingLibraryError
from minilm.quantize import MIN_SCALE, check_fits, level_range, quantize, round_to_levels
from minilm.study import Study, embed_all, embed_batches
from minilm.tokenizer import Tokenizer, split_words
from minilm.weights import F32, Config, Model

from vmc.ir.types import ALL_SMALL, DType, dtype

REPORTED = command.TYPES.split(",")
SENTENCES = command.SENTENCES.read_text(encoding="utf-8").splitlines()


def holds_weights(element: DType) -> bool:
    return level_range(element)[0] < 0


WEIGHT_TYPES = [str(element) for element in ALL_SMALL if holds_weights(element)]


@cache
def trained() -> Model:
    try:
        return weights.read_model(weights.find_model())
    except weights.MissingWeightsError as error:
        pytest.skip(str(error))


def normal(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def tokens_of(sentences: list[str]) -> list[list[int]]:
    tokenizer = Tokenizer(trained().vocabulary, trained().config.max_tokens)
    return [tokenizer.encode(sentence) for sentence in sentences]


# Tokenizer


def test_words_are_lower_case_without_accents_and_split_at_punctuation_and_ideographs() -> None:
    assert split_words("Crème-brûlée, 5\u00a0€!\tin東京\u200b\x00") == [
        "creme", "-", "brulee", ",", "5", "€", "!", "in", "東", "京",
    ]  # fmt: skip


def test_a_capital_sigma_ending_a_word_becomes_an_ordinary_small_sigma() -> None:
    assert split_words("ΟΔΟΣ") == ["οδοσ"]


def test_words_are_cut_into_the_longest_pieces_of_the_vocabulary() -> None:
    vocabulary = ["[CLS]", "[SEP]", "[UNK]", "un", "unaff", "##aff", "##able", "##a", "##ble", "."]
    tokenizer = Tokenizer(vocabulary, 256)
    cut = [vocabulary[token] for token in tokenizer.encode("Unaffable unable. unx " + "a" * 101)]
    assert cut == ["[CLS]", "unaff", "##able", "un", "##able", ".", "[UNK]", "[UNK]", "[SEP]"]


def test_a_long_sentence_is_cut_to_the_limit_and_still_ends_in_sep() -> None:
    assert Tokenizer(["[CLS]", "[SEP]", "[UNK]", "x"], 5).encode("x x x x x x") == [0, 3, 3, 3, 1]


def test_the_trained_vocabulary_has_the_published_token_ids() -> None:
    # From the documentation of BERT's uncased vocabulary: hello = 7592, world = 2088, [CLS] = 101, [SEP] = 102.
    assert tokens_of(["Hello world"]) == [[101, 7592, 2088, 102]]


def test_sentences_are_tokenized_as_the_tokenizers_library_does() -> None:
    library = pytest.importorskip("tokenizers", reason="the optional package `tokenizers` is not installed")
    trained()
    reference = library.Tokenizer.from_file(str(weights.find_model() / "tokenizer.json"))
    reference.no_padding()
    reference.enable_truncation(trained().config.max_tokens)
    assert tokens_of(SENTENCES) == [reference.encode(sentence).ids for sentence in SENTENCES]


# Encoder


def test_gelu_agrees_with_torch() -> None:
    x = np.linspace(-12, 12, 100_001, dtype=np.float32)
    expected = torch.nn.functional.gelu(torch.from_numpy(x).double()).numpy()
    np.testing.assert_allclose(between.gelu(x), expected, rtol=0, atol=1e-6)


def test_layer_norm_agrees_with_torch() -> None:
    x, weight, bias = normal(7, 48), normal(48, seed=1), normal(48, seed=2)
    expected = torch.nn.functional.layer_norm(
        torch.from_numpy(x), (48,), torch.from_numpy(weight), torch.from_numpy(bias), 1e-12
    )
    np.testing.assert_allclose(between.layer_norm(x, weight, bias, 1e-12), expected.numpy(), rtol=0, atol=1e-5)


def test_attention_agrees_with_torch() -> None:
    query, key, value = (normal(3, 5, 48, seed=seed) for seed in range(3))
    q, k, v = (torch.from_numpy(x).reshape(3, 5, 4, 12).transpose(1, 2) for x in (query, key, value))
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(3, 5, 48)
    np.testing.assert_allclose(between.attention(query, key, value, 4), expected.numpy(), rtol=0, atol=1e-5)


@cache
def kernels() -> VmcBetween:
    return VmcBetween(Config(layers=1, heads=4, hidden=48, widened=72, epsilon=1e-12, max_tokens=64))


@pytest.mark.parametrize("rows", [1, 5, 33])
def test_vmc_normalizes_and_bends_as_numpy_does(rows: int) -> None:
    x, residual, wide = normal(rows, 48), normal(rows, 48, seed=1), normal(rows, 72, seed=2) * np.float32(4)
    bias, weight, shift, bend = (normal(width, seed=seed) for seed, width in enumerate((48, 48, 48, 72), start=3))
    normalized = (x, bias, residual, weight, shift, 1e-12)
    np.testing.assert_allclose(kernels().normalize(*normalized), NUMPY.normalize(*normalized), rtol=0, atol=1e-5)
    expected = NUMPY.gelu(wide, bend)
    np.testing.assert_allclose(kernels().gelu(wide.copy(), bend), expected, rtol=0, atol=2e-6)


def test_vmc_attends_as_numpy_does_to_sentences_of_any_length() -> None:
    runs = ((3, 1), (2, 15), (1, 16), (2, 17), (1, 64))
    rows = sum(count * length for count, length in runs)
    projected = [normal(rows, 48, seed=seed) for seed in range(3)]
    biases = [normal(48, seed=seed) for seed in range(3, 6)]
    expected = NUMPY.attention(projected, biases, runs, 4)
    np.testing.assert_allclose(kernels().attention(projected, biases, runs, 4), expected, rtol=0, atol=1e-5)


def test_vmc_attends_where_scores_are_far_apart() -> None:
    projected = [normal(40, 48, seed=seed) * np.float32(30) for seed in range(3)]
    biases = [np.zeros(48, np.float32)] * 3
    expected = NUMPY.attention(projected, biases, ((1, 40),), 4)
    np.testing.assert_allclose(kernels().attention(projected, biases, ((1, 40),), 4), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("max_rows", [1, 40, 10_000])
def test_batches_hold_every_sentence_once_within_the_limit(max_rows: int) -> None:
    lengths = [int(length) for length in np.random.default_rng(0).integers(1, 30, 50)]
    sentences = [list(range(100 * index, 100 * index + length)) for index, length in enumerate(lengths)]
    batches = model.make_batches(sentences, max_rows)
    assert sorted(sentence for batch in batches for sentence in batch.sentences) == list(range(50))
    for batch in batches:
        assert len(batch.ids) <= max_rows or len(batch.sentences) == 1
        runs = [row for run in between.split(batch.ids[:, None].astype(np.float32), batch.runs) for row in run[..., 0]]
        assert [row.tolist() for row in runs] == [sentences[sentence] for sentence in batch.sentences]


@cache
def torch_layer(layer: int) -> torch.nn.TransformerEncoderLayer:
    """One layer of the model as torch builds it, which is BERT's: normalization after each addition, exact gelu."""
    config, prefix = trained().config, f"encoder.layer.{layer}"
    linear = trained().linear
    built = torch.nn.TransformerEncoderLayer(
        config.hidden, config.heads, 4 * config.hidden, 0.0, "gelu", config.epsilon, batch_first=True
    )

    def tensor(name: str) -> torch.Tensor:
        full = f"{prefix}.{name}"
        stem = full.removesuffix(".weight")
        return torch.from_numpy(linear[stem].T.copy() if stem in linear else trained().tensors[full])

    def joined(kind: str) -> torch.Tensor:
        return torch.cat([tensor(f"attention.self.{name}.{kind}") for name in ("query", "key", "value")])

    state = {f"self_attn.in_proj_{kind}": joined(kind) for kind in ("weight", "bias")}
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    state |= {f"{ours}.{kind}": tensor(f"{name}.{kind}") for ours, name in names.items() for kind in ("weight", "bias")}
    built.load_state_dict(state)
    return built.eval()


def torch_embedding(ids: list[int]) -> F32:
    """The embedding f32 [hidden] of one sentence, computed by torch's own modules."""
    tensors = {name: torch.from_numpy(array) for name, array in trained().tensors.items() if name.startswith("embedd")}
    words = tensors["embeddings.word_embeddings.weight"][ids]
    positions = tensors["embeddings.position_embeddings.weight"][: len(ids)]
    summed = words + positions + tensors["embeddings.token_type_embeddings.weight"][0]
    scale, shift = (tensors[f"embeddings.LayerNorm.{kind}"] for kind in ("weight", "bias"))
    with torch.no_grad():
        hidden = torch.nn.functional.layer_norm(summed, summed.shape[1:], scale, shift, trained().config.epsilon)[None]
        for layer in range(trained().config.layers):
            hidden = torch_layer(layer)(hidden)
        pooled: F32 = torch.nn.functional.normalize(hidden.mean(dim=1))[0].numpy()
    return pooled


def test_f32_embeddings_agree_with_the_same_model_in_torch() -> None:
    chosen = [*SENTENCES[::25], SENTENCES[-2], SENTENCES[-1], " ".join(SENTENCES[:40])]
    ids = tokens_of(chosen)
    assert len(ids[-1]) == trained().config.max_tokens
    found = embed_all(trained(), dense(trained().linear), model.make_batches(ids))
    expected = np.stack([torch_embedding(sentence) for sentence in ids])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", PEERS)
def test_peers_compute_the_same_embeddings(name: str) -> None:
    try:
        by_peer = PEERS[name](trained())
    except MissingLibraryError as missing:
        pytest.skip(str(missing))
    batches = model.make_batches(tokens_of(SENTENCES[:12]), 60)
    expected = embed_all(trained(), dense(trained().linear), batches)
    np.testing.assert_allclose(embed_batches(trained(), by_peer, batches), expected, rtol=0, atol=2e-6)


def test_an_embedding_does_not_depend_on_the_batch() -> None:
    ids = tokens_of(SENTENCES[:12])
    linear = dense(trained().linear)
    together, apart = (embed_all(trained(), linear, model.make_batches(ids, rows)) for rows in (10_000, 1))
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-6)


def test_paraphrases_are_nearest_neighbours() -> None:
    pairs = [
        ("A man is eating food.", "Someone is having a meal."),
        ("The stock market crashed.", "Share prices fell sharply."),
        ("The kitten sleeps on the sofa.", "A young cat is napping on the couch."),
    ]
    ids = tokens_of([sentence for pair in pairs for sentence in pair])
    found = embed_all(trained(), dense(trained().linear), model.make_batches(ids))
    assert agreement.neighbours(found)[:, 0].tolist() == [1, 0, 3, 2, 5, 4]


# Quantization


@pytest.mark.parametrize("name", WEIGHT_TYPES)
def test_levels_are_what_encoding_and_decoding_give(name: str) -> None:
    element = dtype(name)
    low, high = level_range(element)
    reach = 1.2 * min(max(-low, high), 2.0**100)
    spread = np.exp2(np.random.default_rng(0).uniform(-12, 0, 4096)) * reach
    ties = [] if element.zero_point % 2 else [0.5, 1.5, 2.5, -0.5]  # an odd zero point changes which is even
    values = np.concatenate([spread, -spread, normal(4096), [0.0], ties]).astype(np.float32)
    shifted = np.clip(values.astype(np.float64), low, high) + element.zero_point
    expected = element.decode(element.encode(shifted)).astype(np.float64) - element.zero_point
    np.testing.assert_array_equal(round_to_levels(values, element), expected)


@pytest.mark.parametrize("name", REPORTED)
def test_every_weight_becomes_a_nearest_code_under_its_scale(name: str) -> None:
    weight = normal(64, 6) * np.float32(0.05)
    quantized = quantize(weight, name, 32)
    codes = quantized.type.codes()
    levels = quantized.type.decode(codes).astype(np.float64) - quantized.type.zero_point
    scales = np.repeat(quantized.scales, 32, axis=0).astype(np.float64)
    distances = np.abs(levels * scales[:, :, None] - weight[:, :, None])
    chosen = np.take_along_axis(distances, quantized.codes[:, :, None].astype(np.intp), axis=2)[:, :, 0]
    np.testing.assert_allclose(chosen, distances.min(axis=2), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", REPORTED)
def test_the_searched_scale_loses_less_than_the_one_that_avoids_clipping(name: str) -> None:
    weight = normal(256, 32) * np.float32(0.05)
    element = dtype(name)
    high = level_range(element)[1]
    scale = np.abs(weight.reshape(4, 64, 32)).max(axis=1, keepdims=True) / np.float32(high)
    plain = (round_to_levels(weight.reshape(4, 64, 32) / scale, element) * scale).reshape(weight.shape)
    searched = quantize(weight, name, 64).decode()
    assert np.square(searched - weight).sum() < np.square(plain - weight).sum()


@pytest.mark.parametrize("name", WEIGHT_TYPES)
def test_weights_are_recovered_within_the_relative_step_of_the_type(name: str) -> None:
    weight = normal(64, 8) * np.float32(0.05)
    element = dtype(name)
    levels = 2.0 ** (element.width if element.is_int else element.mantissa_bits + 1)
    error = np.linalg.norm(quantize(weight, name, 32).decode() - weight) / np.linalg.norm(weight)
    assert error < 2.5 / levels


def test_groups_of_zeros_decode_to_zeros() -> None:
    quantized = quantize(np.zeros((64, 3), np.float32), "u4", 32)
    assert np.all(quantized.decode() == 0)
    assert np.all(np.abs(quantized.scales) == MIN_SCALE)


@pytest.mark.parametrize(
    ("name", "group", "message"),
    [
        ("u16", 32, "16 bits"),
        ("f8e8m0", 32, "no negative values"),
        ("u4", 48, "groups of 48 do not divide the 64 rows"),
        ("u4", 0, "groups of 0"),
    ],
)
def test_types_and_groups_that_do_not_fit_are_refused(name: str, group: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_fits(name, 64, group)


# Products


@pytest.mark.parametrize("name", REPORTED)
def test_the_numpy_product_is_the_exact_one_within_bf16(name: str) -> None:
    layer = quantize(normal(128, 40) * np.float32(0.05), name, 64)
    x = normal(9, 128, seed=1)
    found = NumpyLinear({"layer": layer})(x, "layer")
    exact = x.astype(np.float64) @ layer.decode().astype(np.float64)
    bound = 2.0**-8 * (np.abs(x).astype(np.float64) @ np.abs(layer.decode()))
    assert np.all(np.abs(found - exact) <= bound)


@pytest.mark.parametrize("name", [*REPORTED, "u1", "u7", "i3", "i8", "f3e1m1", "f8e4m3"])
@pytest.mark.parametrize("group", [32, 64, 96])
def test_vmc_computes_what_numpy_computes(name: str, group: int) -> None:
    layer = quantize(normal(192, 72) * np.float32(0.05), name, group)
    ours, expected = VmcLinear({"layer": layer}), NumpyLinear({"layer": layer})
    assert ours.weight_bytes == expected.weight_bytes == 192 * 72 * layer.type.width // 8
    for rows in (1, 33, 130):
        x = normal(rows, 192, seed=rows)
        # The order of the f32 sums differs.
        np.testing.assert_allclose(ours(x, "layer"), expected(x, "layer"), rtol=1e-5, atol=1e-5)


# Agreement


def unit_rows(array: F32) -> F32:
    rows: F32 = array / np.linalg.norm(array, axis=1, keepdims=True)
    return rows


def test_agreement_is_what_scipy_and_sorting_say() -> None:
    one = unit_rows(normal(20, 8))
    two = unit_rows(one + np.float32(0.4) * normal(20, 8, seed=1))
    correlations, first, five = [], [], []
    for sentence in range(20):
        others = [other for other in range(20) if other != sentence]
        near_one, near_two = (embeddings[others] @ embeddings[sentence] for embeddings in (one, two))
        correlations.append(spearmanr(near_one, near_two).statistic)
        best_one, best_two = (np.argsort(-similarity).tolist() for similarity in (near_one, near_two))
        first.append(best_one[0] == best_two[0])
        five.append(len(set(best_one[:5]) & set(best_two[:5])) / 5)
    found = agreement.compare(one, two)
    cosines = torch.nn.functional.cosine_similarity(torch.from_numpy(one), torch.from_numpy(two))
    assert found.spearman == pytest.approx(np.mean(correlations))
    assert (found.top1, found.top5) == pytest.approx((np.mean(first), np.mean(five)))
    assert (found.cosine_mean, found.cosine_min) == pytest.approx(
        (float(cosines.mean()), float(cosines.min())), abs=1e-6
    )


def test_embeddings_agree_fully_with_themselves() -> None:
    one = unit_rows(normal(20, 8))
    found = agreement.compare(one, one)
    assert (found.spearman, found.top1, found.top5) == (1, 1, 1)
    assert (found.cosine_mean, found.cosine_min) == pytest.approx((1, 1))


# The program


def test_the_sentences_are_a_hundred_or_more_and_all_different() -> None:
    assert len(SENTENCES) >= 100
    assert len(set(SENTENCES)) == len(SENTENCES)
    assert all(sentence.strip() == sentence != "" for sentence in SENTENCES)


def test_the_study_counts_its_steps() -> None:
    study = Study(trained(), SENTENCES[:7])
    done: list[str] = []
    list(study.run(["u4"], 64, "numpy", done.append))
    assert len(done) == study.steps(["u4"])


def test_more_bits_agree_better_with_f32(capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    assert command.main(["--types", "u8,u4,u2,f6e3m2", "--limit", "24", "--no-peers", "--json"]) == 0
    rows = {row["type"]: row for row in json.loads(capsys.readouterr().out)}
    weights_in_all = 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    assert rows["f32"]["weight_bytes"] == 4 * weights_in_all
    assert rows["u4"]["weight_bytes"] == weights_in_all // 2 + weights_in_all // 64 * 2
    cosines = {name: row["agreement"]["cosine_mean"] for name, row in rows.items()}
    assert cosines["u8"] > 0.999
    assert cosines["f6e3m2"] > 0.99
    assert cosines["u8"] > cosines["f6e3m2"] > cosines["u4"] > 0.94
    assert 0.9 > cosines["u2"] > 0.4


def test_the_table_has_a_row_for_every_type_and_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    assert command.main(["--types", "u3, f4e2m1", "--limit", "7", "--engine", "numpy", "--no-peers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.strip().startswith(("f32 ", "u3 ", "f4e2m1 "))] == [
        "f32", "u3", "f4e2m1",
    ]  # fmt: skip
    assert max(map(len, lines)) <= 81
    assert "…" not in "".join(lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--types", "u9"], "error: unknown type 'u9'"),
        (["--group", "50"], "error: groups of 50 do not divide"),
        (["--limit", "3"], "error: --limit 3"),
    ],
)
def test_mistakes_end_in_one_line_and_status_1(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trained()
    assert command.main(arguments) == 1
    assert capsys.readouterr().err.startswith(message)


def test_missing_weights_name_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    assert command.main([]) == 1
    assert weights.INSTALL in capsys.readouterr().err
