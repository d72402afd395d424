//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Registers: BP the decoder, R8 the range, R9 the code, SI the next byte of the input, DI the next byte of the output,
// R13 a probability or an array of them, R12 the node of a tree, R15 what makes one shift of both ways in which a
// probability changes (see coder.node). Others are scratch.

// NORMAL makes the range large enough for a bit.
#define NORMAL \
	CMPL R8, $const_topValue \
	JAE  5(PC)               \
	SHLL $8, R8              \
	SHLL $8, R9              \
	MOVB (SI), R9            \
	INCQ SI

// BOUND sets AX to the probability and BX to the bound that it makes of the range.
#define BOUND(prob) \
	NORMAL                    \
	MOVWLZX prob, AX          \
	MOVL    R8, BX            \
	SHRL    $const_probBits, BX \
	IMULL   AX, BX

// BIT compares: a jump if above or equal is taken for 1. ZERO or ONE follows.
#define BIT \
	BOUND((R13)) \
	CMPL R9, BX

#define ZERO \
	MOVL BX, R8                     \
	MOVL $(1<<const_probBits), CX   \
	SUBL AX, CX                     \
	SHRL $const_probMove, CX        \
	ADDL CX, AX                     \
	MOVW AX, (R13)

#define ONE \
	SUBL BX, R8              \
	SUBL BX, R9              \
	MOVL AX, CX              \
	SHRL $const_probMove, CX \
	SUBL CX, AX              \
	MOVW AX, (R13)

// CHOOSE takes the bit out of range and code and sets the carry if it is 0.
#define CHOOSE \
	SUBL    BX, R8  \
	MOVL    R9, R10 \
	SUBL    BX, R10 \
	CMOVLCS BX, R8  \
	CMOVLCC R10, R9

// ADAPT changes the probability AX; BX is all ones if the bit was 0, else 0.
#define ADAPT(prob) \
	ANDL R15, BX             \
	MOVL AX, R10             \
	SUBL BX, R10             \
	SARL $const_probMove, R10 \
	SUBL R10, AX             \
	MOVW AX, prob

// ROOT begins a tree at R13, whose first probability is then in DX.
#define ROOT \
	MOVWLZX 2(R13), DX \
	MOVL    $1, R12

// NODE decodes a bit of a tree whose probability is in DX, and puts that of the next node there: both that it may be are
// loaded before the bit is known, for what bounds the speed is the way from one bit to the next.
#define NODE \
	NORMAL                      \
	MOVL    DX, AX              \
	MOVL    R8, BX              \
	SHRL    $const_probBits, BX \
	IMULL   AX, BX              \
	MOVWLZX (R13)(R12*4), CX    \
	MOVWLZX 2(R13)(R12*4), DX   \
	CHOOSE                      \
	CMOVLCS CX, DX              \
	MOVL    R12, R11            \
	SBBL    BX, BX              \
	LEAL    1(BX)(R12*2), R12   \
	ADAPT((R13)(R11*2))

// LEAF is NODE for the last bit.
#define LEAF \
	NORMAL                      \
	MOVL    DX, AX              \
	MOVL    R8, BX              \
	SHRL    $const_probBits, BX \
	IMULL   AX, BX              \
	CHOOSE                      \
	MOVL    R12, R11            \
	SBBL    BX, BX              \
	LEAL    1(BX)(R12*2), R12   \
	ADAPT((R13)(R11*2))

// MATCHED is a bit of a literal behind a match (see coder.matchedLiteral): DX the byte at rep0, CX the offset.
#define MATCHED \
	ADDL  DX, DX             \
	MOVL  DX, R14            \
	ANDL  CX, R14            \
	LEAQ  (CX)(R14*1), R11   \
	ADDQ  R12, R11           \
	BOUND((R13)(R11*2))      \
	CHOOSE                   \
	SBBL  BX, BX             \
	XORL  BX, R14            \
	ANDL  R14, CX            \
	LEAL  1(BX)(R12*2), R12  \
	ADAPT((R13)(R11*2))

// BYSTATE sets R13 to the probability of the state in an array.
#define BYSTATE(array) \
	MOVL decoder_spill+spill_state(BP), CX \
	LEAQ array(BP)(CX*2), R13

// BYPOSITION sets R13 to the probability of state and position.
#define BYPOSITION(array) \
	MOVL decoder_spill+spill_state(BP), CX  \
	SHLL $4, CX                             \
	ADDL decoder_spill+spill_posState(BP), CX \
	LEAQ array(BP)(CX*2), R13

// STATE sets the state: one value after literals, another one after matches.
#define STATE(literal, match) \
	MOVL    $literal, CX                             \
	MOVL    $match, AX                               \
	CMPL    decoder_spill+spill_state(BP), $const_litStates \
	CMOVLCC AX, CX                                   \
	MOVL    CX, decoder_spill+spill_state(BP)

#define REP(n) decoder_rep+4*n(BP)

// func symbols(d *decoder, out, in *byte, room, limit int)
TEXT ·symbols(SB), NOSPLIT, $8-40
	MOVQ d+0(FP), BP
	MOVL decoder_coder+coder_rng(BP), R8
	MOVL decoder_coder+coder_code(BP), R9
	MOVQ out+8(FP), DI
	MOVQ DI, decoder_spill+spill_base(BP)
	MOVQ room+24(FP), R10
	ADDQ DI, R10
	MOVQ R10, decoder_spill+spill_room(BP)
	ADDQ decoder_op(BP), DI
	MOVQ in+16(FP), SI
	MOVQ limit+32(FP), R10
	ADDQ SI, R10
	MOVQ R10, decoder_spill+spill_limit(BP)
	ADDQ decoder_coder+coder_pos(BP), SI
	MOVL $((1<<const_probBits)-(1<<const_probMove)+1), R15

next:
	CMPQ SI, decoder_spill+spill_limit(BP)
	JA   full
	CMPQ DI, decoder_spill+spill_room(BP)
	JAE  full
	MOVQ DI, R10
	SUBQ decoder_spill+spill_base(BP), R10
	MOVL R10, R11
	ANDL decoder_pbMask(BP), R11
	MOVL R11, decoder_spill+spill_posState(BP)
	BYPOSITION(symbolModel_isMatch)
	BIT
	JAE  match
	ZERO

	// a literal: its array by the position and the byte before it
	XORL  AX, AX
	TESTQ R10, R10
	JZ    2(PC)
	MOVBLZX -1(DI), AX
	ANDL  decoder_lpMask(BP), R10
	SHLL  $8, R10
	ADDL  AX, R10
	MOVL  $8, CX
	SUBL  decoder_lc(BP), CX
	SHRL  CX, R10
	IMUL3Q $(2*const_literalSize), R10, R10
	LEAQ  model_literal(BP)(R10*1), R13
	MOVL  decoder_spill+spill_state(BP), CX
	CMPL  CX, $const_litStates
	JAE   matched
	XORL  AX, AX
	SUBL  $3, CX
	CMOVLCS AX, CX
	MOVL  CX, decoder_spill+spill_state(BP)
	ROOT
	NODE
	NODE
	NODE
	NODE
	NODE
	NODE
	NODE
	LEAF
	MOVB  R12, (DI)
	INCQ  DI
	JMP   next

matched:
	LEAL  -3(CX), AX
	SUBL  $6, CX
	CMPL  AX, $7
	CMOVLCS AX, CX
	MOVL  CX, decoder_spill+spill_state(BP)
	MOVL  REP(0), AX
	MOVQ  DI, CX
	SUBQ  AX, CX
	MOVBLZX -1(CX), DX
	MOVL  $0x100, CX
	MOVL  $1, R12
	MATCHED
	MATCHED
	MATCHED
	MATCHED
	MATCHED
	MATCHED
	MATCHED
	MATCHED
	MOVB  R12, (DI)
	INCQ  DI
	JMP   next

match:
	ONE
	BYSTATE(symbolModel_isRep)
	BIT
	JAE  rep
	ZERO
	MOVL REP(0), AX
	MOVL REP(1), CX
	MOVL REP(2), DX
	MOVL AX, REP(1)
	MOVL CX, REP(2)
	MOVL DX, REP(3)
	STATE(7, 10)
	MOVL $0, decoder_spill+spill_isRep(BP)
	LEAQ symbolModel_matchLen(BP), R13
	JMP  length

rep:
	ONE
	BYSTATE(symbolModel_isRepG0)
	BIT
	JAE  repG1
	ZERO
	BYPOSITION(symbolModel_isRep0Long)
	BIT
	JAE  longRep
	ZERO
	STATE(9, 11)
	MOVL REP(0), AX
	MOVQ DI, R10
	SUBQ decoder_spill+spill_base(BP), R10
	CMPQ AX, R10
	JAE  far
	MOVQ DI, CX
	SUBQ AX, CX
	MOVBLZX -1(CX), AX
	MOVB AX, (DI)
	INCQ DI
	JMP  next

repG1:
	ONE
	BYSTATE(symbolModel_isRepG1)
	BIT
	JAE  repG2
	ZERO
	MOVL REP(1), DX
	JMP  rep1

repG2:
	ONE
	BYSTATE(symbolModel_isRepG2)
	BIT
	JAE  rep3
	ZERO
	MOVL REP(2), DX
	JMP  rep2

rep3:
	ONE
	MOVL REP(3), DX
	MOVL REP(2), AX
	MOVL AX, REP(3)

rep2:
	MOVL REP(1), AX
	MOVL AX, REP(2)

rep1:
	MOVL REP(0), AX
	MOVL AX, REP(1)
	MOVL DX, REP(0)
	JMP  repLength

longRep:
	ONE

repLength:
	STATE(8, 11)
	MOVL $1, decoder_spill+spill_isRep(BP)
	LEAQ symbolModel_repLen(BP), R13

length: // R13 is the lenModel
	MOVQ R13, R14
	ADDQ $lenModel_choice, R13
	BIT
	JAE  notLow
	ZERO
	MOVL decoder_spill+spill_posState(BP), CX
	SHLL $4, CX
	LEAQ lenModel_low(R14)(CX*1), R13
	ROOT
	NODE
	NODE
	LEAF
	SUBL $(const_lenLow-const_minMatch), R12
	JMP  hasLength

notLow:
	ONE
	LEAQ lenModel_choice2(R14), R13
	BIT
	JAE  high
	ZERO
	MOVL decoder_spill+spill_posState(BP), CX
	SHLL $4, CX
	LEAQ lenModel_mid(R14)(CX*1), R13
	ROOT
	NODE
	NODE
	LEAF
	ADDL $const_minMatch, R12
	JMP  hasLength

high:
	ONE
	LEAQ lenModel_high(R14), R13
	ROOT
	NODE
	NODE
	NODE
	NODE
	NODE
	NODE
	NODE
	LEAF
	SUBL $(const_lenHigh-2*const_lenLow-const_minMatch), R12

hasLength:
	MOVL R12, R14
	CMPL decoder_spill+spill_isRep(BP), $0
	JNE  repDistance

	// the slot of the distance
	LEAL -const_minMatch(R12), CX
	MOVL $(const_lenStates-1), AX
	CMPL CX, AX
	CMOVLHI AX, CX
	SHLL $7, CX
	LEAQ symbolModel_slot(BP)(CX*1), R13
	ROOT
	NODE
	NODE
	NODE
	NODE
	NODE
	LEAF
	LEAL -const_slots(R12), DX
	CMPL DX, $const_firstSlot
	JB   hasDistance
	MOVL DX, R11
	MOVL DX, CX
	SHRL $1, CX
	DECL CX
	ANDL $1, DX
	ORL  $2, DX
	CMPL R11, $const_alignSlot
	JAE  plain
	SHLL CX, DX
	MOVL DX, AX
	SUBL R11, AX
	LEAQ symbolModel_special(BP)(AX*2), R13
	JMP  reverse

plain: // CX is 6 or more
	SUBL $const_alignBits, CX

plainBit:
	NORMAL
	SHRL $1, R8
	MOVL R9, R10
	SUBL R8, R10
	CMOVLCC R10, R9
	SBBL BX, BX
	LEAL 1(BX)(DX*2), DX
	DECL CX
	JNZ  plainBit
	SHLL $const_alignBits, DX
	MOVL $const_alignBits, CX
	LEAQ symbolModel_align(BP), R13

reverse: // CX bits of a tree at R13, the lowest one first
	MOVL R14, decoder_spill+spill_length(BP)
	MOVL $1, R14
	MOVL $1, R12

reverseBit:
	BOUND((R13)(R12*2))
	CHOOSE
	MOVL R12, R11
	SBBL BX, BX
	LEAL 1(BX)(R12*2), R12
	MOVL BX, R10
	NOTL R10
	ANDL R14, R10
	ADDL R10, DX
	ADDL R14, R14
	ADAPT((R13)(R11*2))
	DECL CX
	JNZ  reverseBit
	MOVL decoder_spill+spill_length(BP), R14

hasDistance:
	MOVL DX, REP(0)
	JMP  copy

repDistance:
	MOVL REP(0), DX

copy: // R14 bytes from DX+1 before DI
	MOVQ DI, R10
	SUBQ decoder_spill+spill_base(BP), R10
	MOVQ decoder_dict(BP), R11
	CMPQ R10, R11
	CMOVQHI R11, R10
	CMPQ DX, R10
	JAE  far
	MOVQ DI, CX
	SUBQ DX, CX
	DECQ CX
	ADDQ DI, R14 // its end
	CMPL DX, $15
	JB   near

wide:
	MOVOU (CX), X0
	MOVOU X0, (DI)
	MOVOU 16(CX), X0
	MOVOU X0, 16(DI)
	ADDQ $32, CX
	ADDQ $32, DI
	CMPQ DI, R14
	JB   wide
	MOVQ R14, DI
	JMP  next

near:
	TESTL DX, DX
	JZ   fill
	INCL DX
	CMPL DX, $8
	JB   pattern

word:
	MOVQ (CX), AX
	MOVQ AX, (DI)
	ADDQ $8, CX
	ADDQ $8, DI
	CMPQ DI, R14
	JB   word
	MOVQ R14, DI
	JMP  next

pattern: // 8 bytes, of which the first DX are right
	MOVQ (CX), AX
	MOVQ AX, (DI)
	ADDQ DX, CX
	ADDQ DX, DI
	CMPQ DI, R14
	JB   pattern
	MOVQ R14, DI
	JMP  next

fill:
	MOVBQZX (CX), AX
	MOVQ $0x0101010101010101, CX
	IMULQ CX, AX

fillWord:
	MOVQ AX, (DI)
	ADDQ $8, DI
	CMPQ DI, R14
	JB   fillWord
	MOVQ R14, DI
	JMP  next

far:
	MOVL $1, decoder_spill+spill_far(BP)

full:
	MOVL R8, AX
	MOVQ AX, decoder_coder+coder_rng(BP)
	MOVL R9, AX
	MOVQ AX, decoder_coder+coder_code(BP)
	SUBQ in+16(FP), SI
	MOVQ SI, decoder_coder+coder_pos(BP)
	SUBQ out+8(FP), DI
	MOVQ DI, decoder_op(BP)
	RET
