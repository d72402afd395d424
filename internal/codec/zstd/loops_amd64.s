//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Sequences.
//
// Registers: R12 l; SI where BX, the next bits, was loaded; CX 0 less the number of bits of BX that are used up, 1 to 64, in its low 6
// bits; DI next byte of dst; R14 next literal; R8, R9, R10 the entries of literal length, distance, match length; R11 the
// last distance.
//
// The low byte of an entry is the number of its extra bits, the next byte that of the bits of the next state, 16 bits what
// these are added to, and 32 what the extra bits are added to.

// LOAD has 56 bits or more in BX, unless more are used than there are.
#define LOAD \
	MOVL CX, AX          \
	NOTL AX              \
	SHRL $3, AX          \
	ANDL $7, AX          \
	SUBQ AX, SI          \
	ORL  $56, CX         \
	CMPQ SI, first-8(SP) \
	JLT  done            \
	MOVQ (SI), BX

// EXTRA sets the register to the value of an entry.
#define EXTRA(entry, reg) \
	SUBL  entry, CX       \
	SHRXQ CX, BX, AX      \
	BZHIQ entry, AX, AX   \
	RORXQ $32, entry, reg \
	ADDL  AX, reg

// NEXT goes to the next entry.
#define NEXT(entry, code) \
	SHRL  $8, entry     \
	SUBL  entry, CX     \
	SHRXQ CX, BX, AX    \
	BZHIQ entry, AX, AX \
	SHRL  $8, entry     \
	ADDL  entry, AX     \
	MOVQ  (seqLoop_tables+code*seqTable__size+seqTable_entries)(R12)(AX*8), entry

// func sequencesBMI2(l *seqLoop)
TEXT ·sequencesBMI2(SB), NOSPLIT, $32-8
	MOVQ l+0(FP), R12
	DECQ seqLoop_n(R12) // the last one is for Go; one less within the loop
	MOVQ seqLoop_src(R12), SI
	ADDQ seqLoop_start(R12), SI
	SUBQ $7, SI
	MOVQ SI, first-8(SP)
	MOVQ seqLoop_left(R12), CX
	MOVQ CX, AX
	SHRQ $3, AX
	ADDQ AX, SI
	ANDL $7, CX
	SUBL $8, CX
	MOVQ seqLoop_entries+const_literalLength*8(R12), R8
	MOVQ seqLoop_entries+const_offset*8(R12), R9
	MOVQ seqLoop_entries+const_matchLength*8(R12), R10
	MOVQ seqLoop_rep(R12), R11
	MOVQ seqLoop_dst(R12), DI
	MOVQ DI, base-16(SP)
	MOVQ DI, AX
	ADDQ seqLoop_room(R12), AX
	MOVQ AX, roomEnd-24(SP)
	ADDQ seqLoop_op(R12), DI
	MOVQ seqLoop_lit(R12), R14
	MOVQ R14, AX
	ADDQ seqLoop_litEnd(R12), AX
	MOVQ AX, literalsEnd-32(SP)
	ADDQ seqLoop_litPos(R12), R14

next:
	LOAD
	LEAL (R8)(R9*1), AX
	ADDL R10, AX
	CMPB AX, $30 // 56 less the bits of the next states: 9, 9 and 8
	JHI  long
	EXTRA(R9, R13)
	EXTRA(R10, R15)
	EXTRA(R8, DX)

distance:
	CMPB R9, $1
	JLS  repeat
	MOVQ seqLoop_rep+8(R12), AX
	MOVQ R11, seqLoop_rep+8(R12)
	MOVQ AX, seqLoop_rep+16(R12)
	MOVQ R13, R11

states:
	NEXT(R8, const_literalLength)
	NEXT(R10, const_matchLength)
	NEXT(R9, const_offset)

	LEAQ (DI)(DX*1), AX  // end of the literals
	LEAQ (AX)(R15*1), R13 // end of the match
	LEAQ (R14)(DX*1), BX // literals behind these
	CMPQ R13, roomEnd-24(SP)
	JGT  tight
	CMPQ BX, literalsEnd-32(SP)
	JGT  tight
	CMPQ R11, seqLoop_window(R12)
	JHI  tight
	MOVOU (R14), X0
	MOVOU X0, (DI)
	CMPQ DX, $16
	JHI  literals

match:
	MOVQ AX, DX // where it is
	SUBQ R11, DX
	CMPQ DX, base-16(SP)
	JLT  before
	MOVQ BX, R14
	CMPQ R11, $16
	JCS  near

wide:
	MOVOU (DX), X0
	MOVOU X0, (AX)
	MOVOU 16(DX), X1
	MOVOU X1, 16(AX)
	SUBQ $32, R15
	JGT  morewide

executed:
	MOVQ R13, DI
	DECQ seqLoop_n(R12)
	JNE  next
	JMP  done

morewide:
	ADDQ $32, DX
	ADDQ $32, AX
	JMP  wide

literals:
	MOVOU 16(R14), X0
	MOVOU X0, 16(DI)
	MOVOU 32(R14), X1
	MOVOU X1, 32(DI)
	CMPQ DX, $48
	JLS  match
	LEAQ 48(DI), DX

literals32:
	MOVOU 48(R14), X0
	MOVOU X0, (DX)
	MOVOU 64(R14), X1
	MOVOU X1, 16(DX)
	ADDQ $32, R14
	ADDQ $32, DX
	CMPQ DX, AX
	JCS  literals32
	JMP  match

near:
	CMPQ R11, $8
	JCS  pattern

word:
	MOVQ (DX), DI
	MOVQ DI, (AX)
	MOVQ 8(DX), DI
	MOVQ DI, 8(AX)
	ADDQ $16, DX
	ADDQ $16, AX
	CMPQ AX, R13
	JCS  word
	JMP  executed

pattern:
	CMPQ R11, $1
	JEQ  run

period:
	MOVQ (DX), DI
	MOVQ DI, (AX)
	ADDQ R11, DX
	ADDQ R11, AX
	CMPQ AX, R13
	JCS  period
	JMP  executed

run:
	MOVBQZX (DX), DX
	MOVQ $0x0101010101010101, DI
	IMULQ DI, DX
	MOVQ DX, X0
	PUNPCKLQDQ X0, X0

runs:
	MOVOU X0, (AX)
	MOVOU X0, 16(AX)
	ADDQ $32, AX
	CMPQ AX, R13
	JCS  runs
	JMP  executed

repeat: // R13 is which one, as if there were literals
	CMPQ DX, $1
	ADCQ $0, R13
	JEQ  states
	CMPQ R13, $2
	MOVQ seqLoop_rep+8(R12), AX
	MOVQ R11, seqLoop_rep+8(R12)
	JEQ  third
	JCS  second
	MOVQ AX, seqLoop_rep+16(R12)
	DECQ R11
	JNE  states
	DECQ R11 // no distance, and out of the window
	JMP  states

second:
	MOVQ AX, R11
	JMP  states

third:
	MOVQ seqLoop_rep+16(R12), R11
	MOVQ AX, seqLoop_rep+16(R12)
	JMP  states

long: // more bits than BX has at once
	EXTRA(R9, R13)
	LOAD
	EXTRA(R10, R15)
	EXTRA(R8, DX)
	LOAD
	JMP  distance

before: // the match is before dst[0], so before old, and must not go beyond it; Reader says why nothing there is overwritten
	ADDQ seqLoop_old(R12), DX
	CMPQ DX, base-16(SP)
	JLT  late
	LEAQ (DX)(R15*1), R14
	SUBQ seqLoop_old(R12), R14
	CMPQ R14, base-16(SP)
	JGT  late
	MOVQ BX, R14
	CMPQ R11, $16
	JCC  wide

late: // the literals are copied once more
	MOVQ AX, DX
	SUBQ DI, DX
	MOVQ BX, R14
	SUBQ DX, R14

tight:
	MOVQ $const_seqTight, seqLoop_status(R12)
	MOVQ DX, seqLoop_litLen(R12)
	MOVQ R15, seqLoop_size(R12)
	DECQ seqLoop_n(R12)

done:
	MOVQ R8, seqLoop_entries+const_literalLength*8(R12)
	MOVQ R9, seqLoop_entries+const_offset*8(R12)
	MOVQ R10, seqLoop_entries+const_matchLength*8(R12)
	MOVQ R11, seqLoop_rep(R12)
	MOVQ R11, seqLoop_dist(R12)
	INCQ seqLoop_n(R12)
	SUBQ base-16(SP), DI
	MOVQ DI, seqLoop_op(R12)
	SUBQ seqLoop_lit(R12), R14
	MOVQ R14, seqLoop_litPos(R12)
	SUBQ first-8(SP), SI // left = 8*(SI+8-start) - used
	INCQ SI
	SHLQ $3, SI
	NOTL CX
	ANDL $63, CX
	INCQ CX
	SUBQ CX, SI
	MOVQ SI, seqLoop_left(R12)
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

// Checksum.

// LANE takes eight bytes into a lane; R8 and R9 are the primes.
#define LANE(at, lane, x) \
	MOVQ  at(SI), x \
	IMULQ R9, x     \
	ADDQ  x, lane   \
	ROLQ  $31, lane \
	IMULQ R8, lane

// func blocksAMD64(lanes *[4]uint64, b []byte)
TEXT ·blocksAMD64(SB), NOSPLIT, $0-32
	MOVQ lanes+0(FP), DI
	MOVQ b_base+8(FP), SI
	MOVQ b_len+16(FP), CX
	SHRQ $5, CX
	JEQ  none
	MOVQ $const_prime1, R8
	MOVQ $const_prime2, R9
	MOVQ 0(DI), R10
	MOVQ 8(DI), R11
	MOVQ 16(DI), R12
	MOVQ 24(DI), R13

block:
	LANE(0, R10, AX)
	LANE(8, R11, BX)
	LANE(16, R12, DX)
	LANE(24, R13, R15)
	ADDQ $32, SI
	DECQ CX
	JNE  block
	MOVQ R10, 0(DI)
	MOVQ R11, 8(DI)
	MOVQ R12, 16(DI)
	MOVQ R13, 24(DI)

none:
	RET
