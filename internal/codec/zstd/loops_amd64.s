//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Sequences.
//
// Registers: SI where BX, the next bits, was loaded; CX 0 less the number of bits of BX that are used up, 1 to 64, in its low 6 bits; DI next
// byte of dst; R14 next literal; R8, R9, R10 the entries of literal length, distance, match length; R11, R12 the last
// two distances.
//
// The low byte of an entry is the number of its extra bits, the next byte that of the bits of the next state, 16 bits what
// these are added to, and 32 what the extra bits are added to.

// LOAD has 56 bits or more in BX, unless more are used than there are.
#define LOAD \
	MOVL CX, AX           \
	NOTL AX               \
	SHRL $3, AX           \
	ANDL $7, AX           \
	SUBQ AX, SI           \
	ORL  $56, CX          \
	CMPQ SI, first-8(SP)  \
	JLT  done             \
	MOVQ (SI), BX

// EXTRA sets the register to the value of an entry.
#define EXTRA(entry, reg) \
	SUBL  entry, CX      \
	SHRXQ CX, BX, AX     \
	BZHIQ entry, AX, AX  \
	MOVQ  entry, reg     \
	SHRQ  $32, reg       \
	ADDQ  AX, reg

// NEXT goes to the next entry.
#define NEXT(entry, table) \
	SHRL  $8, entry          \
	SUBL  entry, CX          \
	SHRXQ CX, BX, AX         \
	BZHIQ entry, AX, AX      \
	SHRL  $8, entry          \
	ADDL  entry, AX          \
	MOVQ  table, entry       \
	MOVQ  (entry)(AX*8), entry

// func sequencesBMI2(l *seqLoop)
TEXT ·sequencesBMI2(SB), NOSPLIT, $96-8
	MOVQ l+0(FP), DX
	MOVQ seqLoop_left(DX), CX
	MOVQ CX, SI
	SARQ $3, SI
	ANDL $7, CX
	SUBL $8, CX
	MOVQ seqLoop_src(DX), AX
	ADDQ seqLoop_start(DX), AX
	SUBQ $7, AX
	MOVQ AX, first-8(SP)
	ADDQ AX, SI
	MOVQ seqLoop_ll(DX), AX
	MOVQ AX, ll-16(SP)
	MOVQ seqLoop_of(DX), AX
	MOVQ AX, of-24(SP)
	MOVQ seqLoop_ml(DX), AX
	MOVQ AX, ml-32(SP)
	MOVQ seqLoop_llEntry(DX), R8
	MOVQ seqLoop_ofEntry(DX), R9
	MOVQ seqLoop_mlEntry(DX), R10
	MOVQ seqLoop_rep(DX), R11
	MOVQ seqLoop_rep+8(DX), R12
	MOVQ seqLoop_rep+16(DX), AX
	MOVQ AX, third-40(SP)
	MOVQ seqLoop_n(DX), AX
	MOVQ AX, n-48(SP)
	MOVQ seqLoop_dst(DX), DI
	MOVQ DI, dst-56(SP)
	MOVQ DI, AX
	ADDQ seqLoop_old(DX), AX
	MOVQ AX, old-64(SP)
	MOVQ DI, AX
	ADDQ seqLoop_room(DX), AX
	MOVQ AX, room-72(SP)
	ADDQ seqLoop_op(DX), DI
	MOVQ seqLoop_lit(DX), R14
	MOVQ R14, AX
	ADDQ seqLoop_litEnd(DX), AX
	MOVQ AX, lit-80(SP)
	ADDQ seqLoop_litPos(DX), R14
	MOVQ seqLoop_window(DX), AX
	MOVQ AX, window-88(SP)

next:
	LOAD
	LEAL (R8)(R9*1), AX
	ADDL R10, AX
	CMPB AX, $30
	JHI  long
	EXTRA(R9, R13)
	EXTRA(R10, R15)
	EXTRA(R8, DX)

	CMPB R9, $1
	JLS  repeat
	MOVQ R12, third-40(SP)
	MOVQ R11, R12
	MOVQ R13, R11

states:
	DECQ n-48(SP)
	JEQ  copy
	NEXT(R8, ll-16(SP))
	NEXT(R10, ml-32(SP))
	NEXT(R9, of-24(SP))

copy:
	LEAQ (DI)(DX*1), AX
	LEAQ (AX)(R15*1), R13
	LEAQ -1(R11), BX
	CMPQ R13, room-72(SP)
	JGT  tight
	CMPQ BX, window-88(SP)
	JCC  tight
	LEAQ (R14)(DX*1), BX
	CMPQ BX, lit-80(SP)
	JGT  tight
	SUBQ R11, AX // where the match is
	CMPQ AX, dst-56(SP)
	JLT  before

literals:
	MOVOU (R14), X0
	MOVOU X0, (DI)
	SUBQ $16, DX
	JGT  moreliterals

match:
	MOVQ BX, R14
	MOVQ R13, DI
	SUBQ R15, DI
	CMPQ R11, $16
	JCS  near

wide:
	MOVOU (AX), X0
	MOVOU X0, (DI)
	MOVOU 16(AX), X1
	MOVOU X1, 16(DI)
	SUBQ $32, R15
	JGT  morewide

executed:
	MOVQ R13, DI
	CMPQ n-48(SP), $0
	JNE  next
	JMP  done

morewide:
	ADDQ $32, AX
	ADDQ $32, DI
	JMP  wide

moreliterals:
	ADDQ $16, R14
	ADDQ $16, DI

literals32:
	MOVOU (R14), X0
	MOVOU X0, (DI)
	MOVOU 16(R14), X1
	MOVOU X1, 16(DI)
	ADDQ $32, R14
	ADDQ $32, DI
	SUBQ $32, DX
	JGT  literals32
	JMP  match

near:
	CMPQ R11, $8
	JCS  pattern

word:
	MOVQ (AX), DX
	MOVQ DX, (DI)
	MOVQ 8(AX), DX
	MOVQ DX, 8(DI)
	ADDQ $16, AX
	ADDQ $16, DI
	CMPQ DI, R13
	JCS  word
	JMP  executed

pattern:
	CMPQ R11, $1
	JEQ  run

period:
	MOVQ (AX), DX
	MOVQ DX, (DI)
	ADDQ R11, AX
	ADDQ R11, DI
	CMPQ DI, R13
	JCS  period
	JMP  executed

run:
	MOVBQZX (AX), AX
	MOVQ $0x0101010101010101, DX
	IMULQ DX, AX
	MOVQ AX, X0
	PUNPCKLQDQ X0, X0

runs:
	MOVOU X0, (DI)
	MOVOU X0, 16(DI)
	ADDQ $32, DI
	CMPQ DI, R13
	JCS  runs
	JMP  executed

repeat: // R13 is which one, as if there were literals
	CMPQ DX, $1
	ADCQ $0, R13
	JEQ  states
	CMPQ R13, $2
	JEQ  usethird
	JCS  usesecond
	LEAQ -1(R11), R13
	MOVQ R12, third-40(SP)
	MOVQ R11, R12
	MOVQ R13, R11
	JMP  states

usesecond:
	XCHGQ R11, R12
	JMP  states

usethird:
	MOVQ third-40(SP), R13
	MOVQ R12, third-40(SP)
	MOVQ R11, R12
	MOVQ R13, R11
	JMP  states

long: // more bits than BX has at once
	EXTRA(R9, R13)
	LOAD
	EXTRA(R10, R15)
	EXTRA(R8, DX)
	LOAD
	CMPB R9, $1
	JLS  repeat
	MOVQ R12, third-40(SP)
	MOVQ R11, R12
	MOVQ R13, R11
	JMP  states

before: // the match is before dst[0], so before old, and must not go beyond it
	SUBQ dst-56(SP), AX
	ADDQ old-64(SP), AX
	CMPQ AX, dst-56(SP)
	JLT  tight
	ADDQ R15, AX
	CMPQ AX, old-64(SP)
	JGT  tight
	SUBQ R15, AX
	CMPQ R11, $16
	JCC  literals

tight:
	MOVQ l+0(FP), AX
	MOVQ $const_seqTight, seqLoop_status(AX)
	MOVQ DX, seqLoop_litLen(AX)
	MOVQ R15, seqLoop_size(AX)

done:
	MOVQ l+0(FP), DX
	MOVQ R8, seqLoop_llEntry(DX)
	MOVQ R9, seqLoop_ofEntry(DX)
	MOVQ R10, seqLoop_mlEntry(DX)
	MOVQ R11, seqLoop_rep(DX)
	MOVQ R11, seqLoop_dist(DX)
	MOVQ R12, seqLoop_rep+8(DX)
	MOVQ third-40(SP), AX
	MOVQ AX, seqLoop_rep+16(DX)
	MOVQ n-48(SP), AX
	MOVQ AX, seqLoop_n(DX)
	SUBQ dst-56(SP), DI
	MOVQ DI, seqLoop_op(DX)
	SUBQ seqLoop_lit(DX), R14
	MOVQ R14, seqLoop_litPos(DX)
	SUBQ first-8(SP), SI // left = 8*(SI+8-start) - used
	INCQ SI
	SHLQ $3, SI
	NOTL CX
	ANDL $63, CX
	INCQ CX
	SUBQ CX, SI
	MOVQ SI, seqLoop_left(DX)
	RET

// Literals.
//
// Registers: R8 to R11 the next bits of the four streams, the first one highest, and below the last one a 1; DI next byte of the first quarter,
// BX a quarter, R12 three of them; SI the table, CX how far an index of it is from the lowest bit.

// FOUR decodes a literal of each stream.
#define FOUR(at) \
	SHRXQ CX, R8, AX          \
	SHRXQ CX, R9, DX          \
	SHRXQ CX, R10, R13        \
	SHRXQ CX, R11, R14        \
	MOVWLZX (SI)(AX*2), AX    \
	MOVWLZX (SI)(DX*2), DX    \
	MOVWLZX (SI)(R13*2), R13  \
	MOVWLZX (SI)(R14*2), R14  \
	SHLXQ AX, R8, R8          \
	SHLXQ DX, R9, R9          \
	SHLXQ R13, R10, R10       \
	SHLXQ R14, R11, R11       \
	SHRL $8, AX               \
	SHRL $8, DX               \
	SHRL $8, R13              \
	SHRL $8, R14              \
	MOVB AX, at(DI)           \
	MOVB DX, at(DI)(BX*1)     \
	MOVB R13, at(DI)(BX*2)    \
	MOVB R14, at(DI)(R12*1)

// MORE has 55 bits or more in the register.
#define MORE(i, bits) \
	TZCNTQ bits, AX                  \
	MOVQ  AX, DX                     \
	SHRQ  $3, DX                     \
	MOVQ  huffLoop_pos+8*i(R15), R13 \
	SUBQ  DX, R13                    \
	MOVQ  R13, huffLoop_pos+8*i(R15) \
	ADDQ  huffLoop_src(R15), R13     \
	MOVQ  (R13), bits                \
	ORQ   $1, bits                   \
	ANDL  $7, AX                     \
	SHLXQ AX, bits, bits

// func fourBMI2(l *huffLoop)
TEXT ·fourBMI2(SB), NOSPLIT, $0-8
	MOVQ l+0(FP), R15
	MOVQ huffLoop_table(R15), SI
	MOVQ huffLoop_shift(R15), CX
	MOVQ huffLoop_quarter(R15), BX
	LEAQ (BX)(BX*2), R12
	MOVQ huffLoop_dst(R15), DI
	ADDQ huffLoop_op(R15), DI
	MOVQ huffLoop_bits+0(R15), R8
	MOVQ huffLoop_bits+8(R15), R9
	MOVQ huffLoop_bits+16(R15), R10
	MOVQ huffLoop_bits+24(R15), R11

round:
	FOUR(0)
	FOUR(1)
	FOUR(2)
	FOUR(3)
	FOUR(4)
	MORE(0, R8)
	MORE(1, R9)
	MORE(2, R10)
	MORE(3, R11)
	ADDQ $5, DI
	DECQ huffLoop_n(R15)
	JNE  round

	SUBQ huffLoop_dst(R15), DI
	MOVQ DI, huffLoop_op(R15)
	MOVQ R8, huffLoop_bits+0(R15)
	MOVQ R9, huffLoop_bits+8(R15)
	MOVQ R10, huffLoop_bits+16(R15)
	MOVQ R11, huffLoop_bits+24(R15)
	RET
