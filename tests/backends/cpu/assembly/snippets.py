"""Small functions in assembly, as LLVM writes them."""

from __future__ import annotations

ENTRY = "vmc_k"


def function(body: str, name: str = f"{ENTRY}.chunk") -> str:
    """A function with directives around it."""
    return f"\t.text\n\t.type\t{name},@function\n{name}:\n{body}\n.Lfunc_end0:\n\t.size\t{name}, .Lfunc_end0-{name}\n"


STREAM = function("""
	movq	(%rdi), %rax
	movq	8(%rdi), %rcx
	movq	16(%rdi), %rdx
	leaq	(%rax,%rdx), %rsi
	vpxor	%xmm0, %xmm0, %xmm0
.LBB0_1:
	vmovdqu64	(%rax), %zmm1
	vpsrlw	$4, %zmm1, %zmm2
	vpandq	%zmm3, %zmm1, %zmm1
	vpdpbusd	%zmm1, %zmm4, %zmm0
	vpdpbusd	64(%rcx), %zmm2, %zmm0
	movq	%r8, -8(%rsp)
	addq	$64, %rax
	cmpq	%rsi, %rax
	jb	.LBB0_1
	vmovdqu64	%zmm0, (%rcx)
	vzeroupper
	retq
""")
"""A turn reads 64 new bytes of the first tensor and the same 64 of the second, and stores to the frame once."""

NESTED = function("""
	testq	%rdx, %rdx
	je	.LBB0_4
.LBB0_1:
	xorl	%ecx, %ecx
.LBB0_2:
	incq	%rcx
	cmpq	$9, %rcx
	jne	.LBB0_2
	decq	%rdx
	jne	.LBB0_1
.LBB0_4:
	retq
""")
