//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Registers: AX the number of the node's position, BX the node, CX the bytes in common, DX the bytes at that position, SI the
// bytes at the new one, DI the tree, R8 its mask, R11 the new position's number, R12 and R13 where the next less and greater
// number goes, R14 and R15 the bytes that those have in common. Others are scratch.

// func descend(f *matchFinder, i, limit, best int, head uint32)
TEXT ·descend(SB), NOSPLIT, $24-36
	MOVQ    f+0(FP), BX
	MOVQ    i+8(FP), CX
	MOVL    head+32(FP), AX
	MOVQ    matchFinder_src(BX), SI
	ADDQ    CX, SI
	MOVQ    matchFinder_tree(BX), DI
	MOVQ    matchFinder_mask(BX), R8
	MOVL    matchFinder_base(BX), R11
	ADDL    CX, R11
	MOVQ    matchFinder_maxDist(BX), DX
	CMPQ    CX, DX
	CMOVQGT DX, CX
	MOVQ    CX, reach-8(SP)
	MOVQ    matchFinder_depth(BX), CX
	MOVQ    CX, depth-16(SP)
	MOVQ    best+24(FP), CX
	INCQ    CX
	MOVQ    limit+16(FP), DX
	CMPQ    CX, DX
	CMOVQGT DX, CX
	MOVQ    CX, notable-24(SP)

	// The next position's searches begin with what is not in the cache: its entries of hash3 and hash4 are fetched 4 positions
	// before, its root and the bytes there one before.
	MOVL       4(SI), R9
	MOVL       R9, R10
	SHLL       $8, R10
	IMULL      $2654435761, R10
	SHRL       $(32-const_hash3Bits), R10
	PREFETCHT0 matchFinder_hash3(BX)(R10*4)
	MOVQ       matchFinder_hash4(BX), R10
	MOVQ       matchFinder_shift4(BX), CX
	IMULL      $2654435761, R9
	SHRL       CX, R9
	PREFETCHT0 (R10)(R9*4)
	MOVL       1(SI), R9
	IMULL      $2654435761, R9
	SHRL       CX, R9
	MOVL       (R10)(R9*4), R9
	MOVL       R9, R10
	ANDL       R8, R9
	PREFETCHT0 (DI)(R9*8)
	SUBL       R11, R10
	MOVLQSX    R10, R10
	PREFETCHT0 (SI)(R10*1)

	MOVL R11, CX
	ANDL R8, CX
	LEAQ (DI)(CX*8), R12
	LEAQ 4(R12), R13
	XORL R14, R14
	XORL R15, R15

loop:
	MOVL    R11, DX
	SUBL    AX, DX
	CMPL    DX, reach-8(SP)
	JHI     end
	SUBQ    $1, depth-16(SP)
	JLT     end
	NEGQ    DX
	ADDQ    SI, DX
	MOVQ    R14, CX
	CMPQ    R15, CX
	CMOVQLT R15, CX

word:
	MOVQ (DX)(CX*1), R9
	MOVQ (SI)(CX*1), R10
	MOVQ R9, BX
	XORQ R10, BX
	JEQ  same
	BYTE $0xf3; BSFQ BX, BX // TZCNTQ, which is BSFQ where there is none
	SHRQ $3, BX
	ADDQ BX, CX
	CMPQ CX, notable-24(SP)
	JGE  found

choose:
	MOVL    AX, BX
	ANDL    R8, BX
	LEAQ    (DI)(BX*8), BX
	BSWAPQ  R9
	BSWAPQ  R10
	CMPQ    R9, R10
	MOVQ    R13, R9
	CMOVQCS R12, R9
	MOVL    AX, (R9)
	MOVL    (BX), R10
	MOVL    4(BX), AX
	CMOVLCC R10, AX
	LEAQ    4(BX), R10
	CMOVQCS R10, R12
	CMOVQCS CX, R14
	CMOVQCC BX, R13
	CMOVQCC CX, R15
	JMP     loop

same:
	ADDQ $8, CX
	CMPQ CX, limit+16(FP)
	JLT  word

found:
	MOVQ    limit+16(FP), BX
	CMPQ    CX, BX
	CMOVQGT BX, CX
	CMPQ    CX, best+24(FP)
	JLE     known
	MOVQ    CX, best+24(FP)
	MOVQ    f+0(FP), BX
	MOVQ    matchFinder_count(BX), DX
	INCQ    matchFinder_count(BX)
	LEAQ    matchFinder_matches(BX)(DX*8), BX
	MOVL    CX, match_length(BX)
	MOVL    R11, DX
	SUBL    AX, DX
	DECL    DX
	MOVL    DX, match_dist(BX)
	MOVQ    limit+16(FP), BX

known:
	CMPQ CX, BX
	JEQ  whole
	LEAQ 1(CX), DX
	MOVQ DX, notable-24(SP)
	JMP  choose

whole: // the position takes the place of the other one
	ANDL R8, AX
	LEAQ (DI)(AX*8), BX
	MOVL (BX), R9
	MOVL 4(BX), R10
	MOVL R9, (R12)
	MOVL R10, (R13)
	RET

end:
	MOVL $0, (R12)
	MOVL $0, (R13)
	RET
