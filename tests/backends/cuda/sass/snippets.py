"""Machine code as nvdisasm prints it, cut down to what the tests ask for."""

LOOP = """
	.target	sm_80

//--------------------- .text.kernel              --------------------------
	.section	.text.kernel,"ax",@progbits
	.sectioninfo	@"SHI_REGISTERS=25"
	.align	128
        .global         kernel
kernel:
.text.kernel:
        /*0000*/                   MOV R1, c[0x0][0x28] ;
        /*0010*/                   S2R R0, SR_TID.X ;
        /*0020*/                   ISETP.GE.AND P0, PT, R2, 0x1, PT ;
        /*0030*/              @!P0 BRA `(.L_x_0) ;
.L_x_1:
        /*0040*/                   LDG.E.128.CONSTANT R20, [R6.64] ;
        /*0050*/                   LDGSTS.E.BYPASS.128 [R3], [R6.64+0x10] ;
        /*0060*/                   LDSM.16.M88.4 R8, [R3] ;
        /*0070*/                   LDS.64 R12, [R3+0x80] ;
        /*0080*/                   LOP3.LUT R20, R22.reuse, 0xf000f, R3.reuse, 0x6a, !PT ;
        /*0090*/                   HFMA2 R21, R21, R16.H0_H0, -72, -72 ;
        /*00a0*/                   IMAD.MOV.U32 R19, RZ, RZ, 0x2400 ;
        /*00b0*/                   HMMA.16816.F32 R12, R8, R20, R12 ;
        /*00c0*/                   @!UPT UIADD3 URZ, URZ, URZ, URZ ;
        /*00d0*/                   STL [R1], R9 ;
        /*00e0*/                   LDL.64 R10, [R1] ;
        /*00f0*/               @P1 EXIT ;
        /*0100*/                   NOP ;
        /*0110*/              @!P0 BRA `(.L_x_1) ;
.L_x_0:
        /*0120*/                   STG.E.U16 [R2.64], R5 ;
.L_x_3:
        /*0130*/                   EXIT ;
.L_x_2:
        /*0140*/                   BRA `(.L_x_2);
        /*0150*/                   NOP;
.L_x_4:
"""

NESTED = """
	.sectioninfo	@"SHI_REGISTERS=12"
.text.outer:
        /*0000*/                   MOV R1, RZ ;
.L_x_0:
        /*0010*/                   IADD3 R1, R1, 0x1, RZ ;
.L_x_1:
        /*0020*/                   FFMA R2, R2, R3, R4 ;
        /*0030*/               @P0 BRA `(.L_x_1) ;
        /*0040*/                   BRA P1, `(.L_x_0) ;
        /*0050*/                   EXIT ;
	.sectioninfo	@"SHI_REGISTERS=8"
.text.second:
        /*0000*/                   EXIT ;
"""
