package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Values that pickles build, besides nil, bool, int64, float64, string and []byte.
type (
	global struct{ module, name string }
	list   struct{ items []any }
	tuple  []any
	// dict keeps its keys in order. Those that are no strings are of no use here and are left out.
	dict struct {
		keys   []string
		values map[string]any
	}
	// opaque is a value of which only the kind matters.
	opaque struct{ kind string }
	// mark stands on the stack where a run of items begins.
	mark struct{}
)

func (g global) String() string { return g.module + "." + g.name }

func (d *dict) set(key, value any) {
	name, ok := key.(string)
	if !ok {
		return
	}
	if _, there := d.values[name]; !there {
		d.keys = append(d.keys, name)
	}
	if d.values == nil {
		d.values = map[string]any{}
	}
	d.values[name] = value
}

// Limits of a pickle. Real checkpoints, optimiser and all, stay at a hundredth of them.
const (
	maxOps      = 4 << 20
	maxStack    = 1 << 20
	maxLine     = 1 << 16 // bytes of a line of text
	maxProtocol = 5
)

// anySet is what becomes of a set.
var anySet = opaque{"set"}

// unpickler builds the value of a pickle.
type unpickler struct {
	data []byte
	at   int

	persistent func(id any) (any, error)               // what lies outside of the pickle
	call       func(f global, args tuple) (any, error) // what a function would return

	stack []any
	memo  map[uint64]any
}

// load runs the program up to its end; at is then behind it. Errors tell where in the data it was.
func (u *unpickler) load() (any, error) {
	u.stack, u.memo = u.stack[:0], map[uint64]any{}
	for range maxOps {
		begin := u.at
		op, err := u.byte()
		if err != nil {
			return nil, err
		}
		if op == opStop {
			v, err := u.pop()
			if err == nil && len(u.stack) > 0 {
				err = errors.New("values are left over")
			}
			return v, err
		}
		if err := u.step(op); err != nil {
			return nil, fmt.Errorf("at byte %d: %w", begin, err)
		}
		if len(u.stack) > maxStack {
			return nil, fmt.Errorf("more than %d values wait on its stack: no file of weights does so", maxStack)
		}
	}
	return nil, fmt.Errorf("it has more than %d instructions: no file of weights has", maxOps)
}

// The instructions of protocols 2 to 5 that are known, by CPython's names.
const (
	opMark           = '('
	opStop           = '.'
	opPop            = '0'
	opPopMark        = '1'
	opDup            = '2'
	opBinFloat       = 'G'
	opInt            = 'I'
	opLong           = 'L'
	opBinInt         = 'J'
	opBinInt1        = 'K'
	opBinInt2        = 'M'
	opNone           = 'N'
	opBinPersID      = 'Q'
	opReduce         = 'R'
	opBinString      = 'T'
	opShortBinString = 'U'
	opBinUnicode     = 'X'
	opAppend         = 'a'
	opBuild          = 'b'
	opGlobal         = 'c'
	opDict           = 'd'
	opAppends        = 'e'
	opBinGet         = 'h'
	opInst           = 'i'
	opLongBinGet     = 'j'
	opList           = 'l'
	opObj            = 'o'
	opBinPut         = 'q'
	opLongBinPut     = 'r'
	opSetItem        = 's'
	opTuple          = 't'
	opSetItems       = 'u'
	opEmptyDict      = '}'
	opEmptyList      = ']'
	opEmptyTuple     = ')'
	opBinBytes       = 'B'
	opShortBinBytes  = 'C'

	opProto           = 0x80
	opNewObj          = 0x81
	opTuple1          = 0x85
	opTuple2          = 0x86
	opTuple3          = 0x87
	opNewTrue         = 0x88
	opNewFalse        = 0x89
	opLong1           = 0x8a
	opLong4           = 0x8b
	opShortBinUnicode = 0x8c
	opBinUnicode8     = 0x8d
	opBinBytes8       = 0x8e
	opEmptySet        = 0x8f
	opAddItems        = 0x90
	opFrozenSet       = 0x91
	opNewObjEx        = 0x92
	opStackGlobal     = 0x93
	opMemoize         = 0x94
	opFrame           = 0x95
	opByteArray8      = 0x96
	opReadOnlyBuffer  = 0x98
)

func (u *unpickler) step(op byte) error {
	switch op {
	case opProto:
		v, err := u.byte()
		if err == nil && v > maxProtocol {
			err = fmt.Errorf("protocol %d is not known", v)
		}
		return err
	case opFrame:
		_, err := u.bytes(8)
		return err
	case opMark:
		u.push(mark{})
	case opPop:
		_, err := u.pop()
		return err
	case opPopMark:
		_, err := u.popMark()
		return err
	case opDup:
		v, err := u.top()
		return u.pushed(v, err)
	case opNone:
		u.push(nil)
	case opNewTrue, opNewFalse:
		u.push(op == opNewTrue)
	case opEmptyDict:
		u.push(&dict{})
	case opEmptyList:
		u.push(&list{})
	case opEmptyTuple:
		u.push(tuple{})
	case opEmptySet:
		u.push(anySet)
	case opReadOnlyBuffer: // the buffer stays as it is
	case opTuple, opList, opDict, opFrozenSet, opAppends, opSetItems, opAddItems:
		return u.gather(op)
	case opTuple1, opTuple2, opTuple3:
		return u.short(int(op-opTuple1) + 1)
	case opAppend:
		v, err := u.pop()
		if err != nil {
			return err
		}
		return u.extend([]any{v})
	case opSetItem:
		items, err := u.popN(2)
		if err != nil {
			return err
		}
		return u.update(items)
	case opBinPut, opLongBinPut, opMemoize, opBinGet, opLongBinGet:
		return u.remember(op)
	case opGlobal, opStackGlobal:
		return u.global(op)
	case opReduce, opNewObj, opNewObjEx, opBuild, opInst, opObj, opBinPersID:
		return u.object(op)
	default:
		v, err := u.literal(op)
		return u.pushed(v, err)
	}
	return nil
}

// literal reads a number, a text or bytes.
func (u *unpickler) literal(op byte) (any, error) {
	switch op {
	case opBinInt1:
		v, err := u.byte()
		return int64(v), err
	case opBinInt2:
		v, err := u.uint(2)
		return int64(v), err
	case opBinInt:
		v, err := u.uint(4)
		return int64(int32(v)), err
	case opLong1, opLong4:
		return u.long(op)
	case opInt, opLong:
		return u.decimal()
	case opBinFloat:
		b, err := u.bytes(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case opShortBinString, opShortBinUnicode:
		b, err := u.counted(1)
		return string(b), err
	case opBinString, opBinUnicode:
		b, err := u.counted(4)
		return string(b), err
	case opBinUnicode8:
		b, err := u.counted(8)
		return string(b), err
	case opShortBinBytes:
		return u.counted(1)
	case opBinBytes:
		return u.counted(4)
	case opBinBytes8, opByteArray8:
		return u.counted(8)
	}
	return nil, fmt.Errorf("the instruction %#02x is not known", op)
}

// long reads a whole number, little-endian in two's complement. One that does not fit an int64 is kept
// as its bytes.
func (u *unpickler) long(op byte) (any, error) {
	width := uint64(1)
	if op == opLong4 {
		width = 4
	}
	b, err := u.counted(width)
	if err != nil {
		return nil, err
	}
	if len(b) > 8 {
		return longNumber(b), nil
	}
	v := int64(0)
	for i, x := range b {
		v |= int64(x) << (8 * i)
	}
	if n := len(b); n > 0 && n < 8 && b[n-1]&0x80 != 0 {
		v -= 1 << (8 * n)
	}
	return v, nil
}

// longNumber is a whole number of more than eight bytes, little-endian.
type longNumber string

// decimal reads a whole number in text: 01 and 00 are truth values.
func (u *unpickler) decimal() (any, error) {
	text, err := u.line()
	switch {
	case err != nil:
		return nil, err
	case text == "01", text == "00":
		return text == "01", nil
	}
	if n := len(text); n > 0 && text[n-1] == 'L' {
		text = text[:n-1]
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%.20q is no whole number", text)
	}
	return v, nil
}

// gather makes or fills a collection with the items above the last mark.
func (u *unpickler) gather(op byte) error {
	items, err := u.popMark()
	if err != nil {
		return err
	}
	switch op {
	case opTuple:
		u.push(tuple(items))
	case opList:
		u.push(&list{items})
	case opDict:
		u.push(&dict{})
		return u.update(items)
	case opFrozenSet:
		u.push(anySet)
	case opAppends:
		return u.extend(items)
	case opSetItems:
		return u.update(items)
	}
	return nil
}

func (u *unpickler) short(n int) error {
	items, err := u.popN(n)
	if err != nil {
		return err
	}
	u.push(tuple(items))
	return nil
}

// extend appends to the list on the stack.
func (u *unpickler) extend(items []any) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *list:
		v.items = append(v.items, items...)
	case opaque: // as a subclass of list would
	default:
		return fmt.Errorf("items are appended to %s", describe(v))
	}
	return nil
}

// update puts keys and values in turn into the dict on the stack.
func (u *unpickler) update(items []any) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	if len(items)%2 != 0 {
		return errors.New("a key has no value")
	}
	switch v := v.(type) {
	case *dict:
		for i := 0; i < len(items); i += 2 {
			v.set(items[i], items[i+1])
		}
	case opaque:
	default:
		return fmt.Errorf("keys are set in %s", describe(v))
	}
	return nil
}

// remember copies the value on the stack to the memo, or one of the memo to the stack.
func (u *unpickler) remember(op byte) error {
	at, width := uint64(len(u.memo)), uint64(0)
	switch op {
	case opBinPut, opBinGet:
		width = 1
	case opLongBinPut, opLongBinGet:
		width = 4
	}
	if width > 0 {
		var err error
		if at, err = u.uint(width); err != nil {
			return err
		}
	}
	if op == opBinGet || op == opLongBinGet {
		v, ok := u.memo[at]
		if !ok {
			return fmt.Errorf("value %d is recalled and was never kept", at)
		}
		u.push(v)
		return nil
	}
	v, err := u.top()
	if err != nil {
		return err
	}
	u.memo[at] = v
	return nil
}

// global pushes a name. Naming something does nothing.
func (u *unpickler) global(op byte) error {
	if op == opGlobal {
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		return u.pushed(global{module, name}, err)
	}
	items, err := u.popN(2)
	if err != nil {
		return err
	}
	module, ok1 := items[0].(string)
	name, ok2 := items[1].(string)
	if !ok1 || !ok2 {
		return errors.New("a global's name is no text")
	}
	u.push(global{module, name})
	return nil
}

// object makes what a function or class would.
func (u *unpickler) object(op byte) error {
	switch op {
	case opBinPersID:
		id, err := u.pop()
		if err != nil {
			return err
		}
		v, err := u.persistent(id)
		return u.pushed(v, err)
	case opBuild: // sets attributes, of which none is needed
		_, err := u.popN(1)
		if err == nil {
			_, err = u.top()
		}
		return err
	case opReduce, opNewObj, opNewObjEx:
		n := 2
		if op == opNewObjEx {
			n = 3 // with keyword arguments
		}
		items, err := u.popN(n)
		if err != nil {
			return err
		}
		return u.invoke(items[0], items[1])
	}
	items, err := u.popMark() // opInst and opObj
	if err != nil {
		return err
	}
	if op == opInst {
		if err := u.global(opGlobal); err != nil {
			return err
		}
		f, _ := u.pop()
		return u.invoke(f, tuple(items))
	}
	if len(items) == 0 {
		return errors.New("an object has no class")
	}
	return u.invoke(items[0], tuple(items[1:]))
}

func (u *unpickler) invoke(f, args any) error {
	name, ok := f.(global)
	if !ok {
		return fmt.Errorf("%s is called as a function", describe(f))
	}
	with, ok := args.(tuple)
	if !ok {
		return fmt.Errorf("the arguments of %s are %s", name, describe(args))
	}
	v, err := u.call(name, with)
	return u.pushed(v, err)
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

func (u *unpickler) pushed(v any, err error) error {
	if err == nil {
		u.push(v)
	}
	return err
}

func (u *unpickler) top() (any, error) {
	if len(u.stack) == 0 {
		return nil, errStack
	}
	v := u.stack[len(u.stack)-1]
	if _, is := v.(mark); is {
		return nil, errStack
	}
	return v, nil
}

func (u *unpickler) pop() (any, error) {
	v, err := u.top()
	if err == nil {
		u.stack = u.stack[:len(u.stack)-1]
	}
	return v, err
}

// popN takes the last n values off the stack.
func (u *unpickler) popN(n int) ([]any, error) {
	out := make([]any, n)
	for i := n - 1; i >= 0; i-- {
		v, err := u.pop()
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// popMark takes the values above the last mark off the stack, and the mark.
func (u *unpickler) popMark() ([]any, error) {
	for at := len(u.stack) - 1; at >= 0; at-- {
		if _, is := u.stack[at].(mark); is {
			items := append([]any(nil), u.stack[at+1:]...)
			u.stack = u.stack[:at]
			return items, nil
		}
	}
	return nil, errStack
}

// bytes reads n bytes, without a copy.
func (u *unpickler) bytes(n uint64) ([]byte, error) {
	if n > uint64(len(u.data)-u.at) {
		return nil, errShort
	}
	begin := u.at
	u.at += int(n)
	return u.data[begin:u.at:u.at], nil
}

func (u *unpickler) byte() (byte, error) {
	b, err := u.bytes(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// uint reads a number of so many bytes, little-endian.
func (u *unpickler) uint(width uint64) (uint64, error) {
	b, err := u.bytes(width)
	v := uint64(0)
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	return v, err
}

// counted reads bytes behind their count of so many bytes.
func (u *unpickler) counted(width uint64) ([]byte, error) {
	n, err := u.uint(width)
	if err != nil {
		return nil, err
	}
	return u.bytes(n)
}

// line reads text up to the end of the line.
func (u *unpickler) line() (string, error) {
	for i, x := range u.data[u.at:min(len(u.data), u.at+maxLine)] {
		if x == '\n' {
			text := string(u.data[u.at : u.at+i])
			u.at += i + 1
			return text, nil
		}
	}
	return "", errShort
}

var (
	errShort = errors.New("it ends in the middle: truncated or damaged")
	errStack = errors.New("it takes a value where none is: damaged")
)

// describe tells in a few words what a value is.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a truth value"
	case int64, longNumber:
		return "a whole number"
	case float64:
		return "a number"
	case string:
		return "a text"
	case []byte:
		return "bytes"
	case global:
		return v.String()
	case *list:
		return "a list"
	case tuple:
		return "a tuple"
	case *dict:
		return "a dict"
	case storage:
		return "a storage"
	case tensor:
		return "a tensor"
	case opaque:
		return "a " + v.kind
	}
	return "something else"
}
