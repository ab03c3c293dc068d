"""E08xx: formats, how blocks are stored and decoded."""

from vmc.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "E0801",
        "field declared twice",
        "The fields and lines of a format have different names.",
        "format f block 2:\n    q: u8[2]\n    q: u8[2]\n    value[i] = q[i]\n",
        "format f block 2:\n    q: u8[2]\n    value[i] = q[i]\n",
    ),
    Entry(
        "E0802",
        "block size that cannot be",
        "The block size is a compile-time integer of at least 1, and the fields of a block fill whole bytes.",
        "format f block 3:\n    q: u4[3]\n    value[i] = q[i]\n",
        "format f block 4:\n    q: u4[4]\n    value[i] = q[i]\n",
    ),
    Entry(
        "E0803",
        "field indexed out of its range",
        "Every index that the value takes, for i from 0 to the block size less one, lies within the field.",
        "format f block 4:\n    q: u8[2]\n    value[i] = q[i]\n",
        "format f block 4:\n    q: u8[2]\n    value[i] = q[i // 2]\n",
    ),
    Entry(
        "E0804",
        "value of a format that is not one number",
        "`value[i]` is a scalar: index the fields that have a count.",
        "format f block 4:\n    q: u8[4]\n    value[i] = f32\n",
        "format f block 4:\n    q: u8[4]\n    value[i] = f32(q[i])\n",
    ),
    Entry(
        "E0805",
        "axis that is not made of whole blocks",
        "The last extent of a tensor of a format is a multiple of its block size. Slices may begin and end anywhere, "
        "though those between blocks are read faster.",
        "format f block 4:\n    q: u8[4]\n    value[i] = f32(q[i])\nkernel k(w: f[6], y: out f32[4]):\n"
        "    y[: +4] = w[: +4]\n",
        "format f block 4:\n    q: u8[4]\n    value[i] = f32(q[i])\nkernel k(w: f[8], y: out f32[4]):\n"
        "    y[: +4] = w[: +4]\n",
    ),
    Entry(
        "E0806",
        "packing that does not fit the field",
        "`packed LAYOUT` lays out the elements of the field: `split(16)` on 32 elements puts element i and element "
        "i + 16 into one byte.",
        "format f block 4:\n    q: u4[4] packed split(3)\n    value[i] = q[i]\n",
        "format f block 4:\n    q: u4[4] packed split(2)\n    value[i] = q[i]\n",
    ),
    Entry(
        "E0807",
        "format where a number type is needed",
        "A format says how a tensor is stored; a tile decoded from it has a number type. Casts, `zeros` and "
        "annotations name number types.",
        "format f block 4:\n    q: u8[4]\n    value[i] = f32(q[i])\ndef make():\n    return zeros(f[4])\n",
        "format f block 4:\n    q: u8[4]\n    value[i] = f32(q[i])\ndef make():\n    return zeros(f32[4])\n",
    ),
    Entry(
        "E0808",
        "store to a tensor of a format",
        "A format says how to decode, not how to choose scales, so only a kernel of its own can encode: write the "
        "fields as separate tensors.",
        "format f block 4:\n    q: u8[4]\n    value[i] = f32(q[i])\nkernel k(y: out f[4]):\n"
        "    y[: +4] = zeros(f32[4])\n",
        "kernel k(q: out u8[4]):\n    q[: +4] = zeros(u8[4])\n",
    ),
    Entry(
        "E0809",
        "type of a field",
        "The fields of a format are of numeric types, with a count known at compile time.",
        "format f block 4:\n    q: T[4]\n    value[i] = q[i]\n",
        "format f block 4:\n    q: u8[4]\n    value[i] = q[i]\n",
    ),
    Entry(
        "E0810",
        "operation that a format's value cannot use",
        "The value of an element is computed from the fields of its own block with arithmetic, bit operations, casts, "
        "tables and `a if c else b`.",
        "format f block 4:\n    q: u8[4]\n    value[i] = sum(q, axis=0)\n",
        "format f block 4:\n    q: u8[4]\n    value[i] = q[0] + q[i]\n",
    ),
)
