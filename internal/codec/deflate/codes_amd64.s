//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Registers: BX bits, CX count in its low 6 bits (what is above is of no meaning), SI next byte of the
// input and R10 its limit, DI next byte of the output, R11 the end of its room and R12 the first one a
// match may refer to, R8 and R9 the tables, AX the entry.

// Entries are such that their low byte is the number of bits to consume, bits 8 to 12 the part of them that is
// the code, and the rest the value. The index of distances is a byte: codes_amd64.go.

#define CONSUME \
	SHRXQ AX, BX, BX \
	SUBL  AX, CX

// REFILL makes bits at least 56 long.
#define REFILL \
	MOVQ  (SI), DX   \
	SHLXQ CX, DX, DX \
	ORQ   DX, BX     \
	MOVL  CX, DX     \
	NOTL  DX         \
	SHRL  $3, DX     \
	ANDL  $7, DX     \
	ADDQ  DX, SI     \
	ORL   $56, CX

#define LOOKUP \
	MOVL BX, AX             \
	ANDL $const_litMask, AX \
	MOVL (R8)(AX*4), AX

#define LITERAL \
	MOVL AX, DX    \
	SHRL $16, DX   \
	MOVB DX, (DI)  \
	INCQ DI        \
	CONSUME

// VALUE sets the register to what the entry says, with its extra bits, and consumes them.
#define VALUE(reg) \
	BZHIQ AX, BX, DX   \
	MOVL  AX, reg      \
	SHRL  $8, reg      \
	SHRXQ reg, DX, DX  \
	MOVL  AX, reg      \
	SHRL  $16, reg     \
	ADDQ  DX, reg      \
	CONSUME

// func codesBMI2(l *loop)
TEXT ·codesBMI2(SB), NOSPLIT, $0-8
	MOVQ l+0(FP), DX
	MOVQ loop_in(DX), SI
	MOVQ SI, R10
	ADDQ loop_pos(DX), SI
	ADDQ loop_limit(DX), R10
	MOVQ loop_buf(DX), DI
	MOVQ DI, R11
	MOVQ DI, R12
	ADDQ loop_op(DX), DI
	ADDQ loop_room(DX), R11
	ADDQ loop_first(DX), R12
	MOVQ loop_bits(DX), BX
	MOVQ loop_count(DX), CX
	MOVQ loop_lit(DX), R8
	MOVQ loop_dist(DX), R9

next:
	CMPQ SI, R10
	JA   room
	CMPQ DI, R11
	JAE  room
	REFILL
	LOOKUP
	TESTL AX, AX
	JNS  nolit
	LITERAL
	LOOKUP
	TESTL AX, AX
	JNS  nolit
	LITERAL
	LOOKUP
	TESTL AX, AX
	JNS  nolit

lit:
	LITERAL
	JMP  next

nolit:
	TESTL $const_isSpecial, AX
	JNZ  special

length:
	VALUE(R13)
	REFILL
	MOVBLZX BX, AX
	MOVL (R9)(AX*4), AX
	TESTL $const_isSpecial, AX
	JNZ  specialdist

distance:
	VALUE(R14)
	MOVQ DI, DX
	SUBQ R14, DX
	CMPQ DX, R12
	JB   far
	ADDQ DI, R13
	CMPQ R14, $16
	JB   near

wide: // mostly once: a branch that depends on the length is often predicted wrong
	MOVOU (DX), X0
	MOVOU X0, (DI)
	MOVOU 16(DX), X0
	MOVOU X0, 16(DI)
	ADDQ $32, DX
	ADDQ $32, DI
	CMPQ DI, R13
	JB   wide
	MOVQ R13, DI
	JMP  next

near:
	CMPQ R14, $8
	JB   pattern

word:
	MOVQ (DX), AX
	MOVQ AX, (DI)
	MOVQ 8(DX), AX
	MOVQ AX, 8(DI)
	ADDQ $16, DX
	ADDQ $16, DI
	CMPQ DI, R13
	JB   word
	MOVQ R13, DI
	JMP  next

pattern:
	CMPQ R14, $1
	JEQ  run

repeat:
	MOVQ (DX), AX
	MOVQ AX, (DI)
	ADDQ R14, DX
	ADDQ R14, DI
	CMPQ DI, R13
	JB   repeat
	MOVQ R13, DI
	JMP  next

run:
	MOVBQZX (DX), AX
	MOVQ $0x0101010101010101, DX
	IMULQ DX, AX

runword:
	MOVQ AX, (DI)
	ADDQ $8, DI
	CMPQ DI, R13
	JB   runword
	MOVQ R13, DI
	JMP  next

special:
	TESTL $const_noTable, AX
	JNZ  endorbad
	SHRQ $const_litBits, BX
	SUBL $const_litBits, CX
	MOVL AX, DX
	SHRL $8, DX
	ANDL $31, DX
	BZHIQ DX, BX, DX
	SHRL $16, AX
	ADDL DX, AX
	ANDL $(const_litSize-1), AX
	MOVL (R8)(AX*4), AX
	TESTL AX, AX
	JS   lit
	TESTL $const_isSpecial, AX
	JZ   length

endorbad:
	CONSUME
	TESTL $const_blockEnd, AX
	JZ   bad
	MOVL $const_blockIsOver, AX
	JMP  done

bad:
	MOVL $const_badLit, AX
	JMP  done

specialdist:
	TESTL $const_noTable, AX
	JNZ  nodist
	SHRQ $const_distBits, BX
	SUBL $const_distBits, CX
	MOVL AX, DX
	SHRL $8, DX
	ANDL $31, DX
	BZHIQ DX, BX, DX
	SHRL $16, AX
	ADDL DX, AX
	ANDL $(const_distSize-1), AX
	MOVL (R9)(AX*4), AX
	TESTL $const_isSpecial, AX
	JZ   distance

nodist:
	MOVL $const_badDist, AX
	JMP  done

far:
	MOVL $const_farMatch, AX
	JMP  done

room:
	MOVL $const_outOfRoom, AX

done:
	MOVQ l+0(FP), DX
	MOVQ AX, loop_status(DX)
	SUBQ loop_in(DX), SI
	MOVQ SI, loop_pos(DX)
	SUBQ loop_buf(DX), DI
	MOVQ DI, loop_op(DX)
	MOVQ BX, loop_bits(DX)
	ANDL $63, CX
	MOVQ CX, loop_count(DX)
	RET
