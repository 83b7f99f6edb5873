package torchfile

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// storage is a row of numbers, or of bytes if its type is "".
type storage struct {
	kind    stored.Type
	size    int // in elements
	content stored.Content
}

// tensor looks into a storage. It is checked when it is known where the storage is.
type tensor struct {
	storage *storage
	kind    stored.Type
	offset  int // in elements
	shape   []int
	strides []int // in elements
}

// called is what a function that a pickle asks for would return.
func called(f global, args tuple) (any, error) {
	switch f.String() {
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		return rebuildTensor(f, args, nil)
	case "torch._utils._rebuild_tensor_v3":
		// (storage, offset, shape, strides, requires_grad, hooks, dtype, metadata)
		if len(args) < 7 {
			return nil, fmt.Errorf("%s has %d arguments", f, len(args))
		}
		return rebuildTensor(f, args, args[6])
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
		if len(args) > 0 {
			if t, ok := args[0].(tensor); ok {
				return t, nil
			}
		}
		return nil, fmt.Errorf("%s has no tensor", f)
	case "collections.OrderedDict", "collections.defaultdict", "collections.Counter":
		return rebuildDict(args)
	case "torch.Size":
		return args, nil
	// What checkpoints hold beside tensors. None of it is needed.
	case "argparse.Namespace", "torch.device", "_codecs.encode",
		"numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
		"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
		"builtins.set", "__builtin__.set", "builtins.frozenset", "builtins.slice", "builtins.complex",
		"torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_qtensor", "torch.serialization._get_layout",
		"builtins.bytearray", "datetime.datetime", "datetime.timedelta",
		"pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath":
		return opaque{f.name}, nil
	}
	return nil, refusal(f)
}

// refusal is the error about a function or class that has no place among weights.
func refusal(f global) error {
	first, _ := utf8.DecodeRuneInString(f.name)
	root, _, _ := strings.Cut(f.module, ".")
	if unicode.IsUpper(first) && root != "subprocess" {
		return fmt.Errorf("it holds an object of the class %.100s, and only tensors and dicts of them are read; nothing was run. "+
			"If it is a whole module, as torch.save(model) writes, save model.state_dict() in its place", f)
	}
	return fmt.Errorf("it asks for %.100s to be called, which has no place among weights; nothing was run", f)
}

// rebuildTensor makes a tensor of (storage, offset, shape, strides, …).
func rebuildTensor(f global, args tuple, dtype any) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("%s has %d arguments", f, len(args))
	}
	s, ok := args[0].(*storage)
	if !ok {
		return nil, fmt.Errorf("%s is given %s for a storage", f, describe(args[0]))
	}
	t := tensor{storage: s, kind: s.kind}
	if name, ok := dtype.(global); ok {
		if t.kind = dtypes(name.name); name.module != "torch" || t.kind == "" {
			return nil, fmt.Errorf("the type %s is not known", name)
		}
	}
	if t.kind == "" {
		return nil, fmt.Errorf("%s is given a storage without a type", f)
	}
	offset, ok := args[1].(int64)
	shape, ok1 := sizes(args[2])
	strides, ok2 := sizes(args[3])
	if !ok || !ok1 || !ok2 || offset < 0 || len(shape) != len(strides) {
		return nil, fmt.Errorf("%s is given no offset, shape and strides", f)
	}
	t.offset, t.shape, t.strides = int(offset), shape, strides
	return t, nil
}

// maxDimensions is more than PyTorch has.
const maxDimensions = 64

// sizes reads a tuple of numbers that are not negative.
func sizes(v any) ([]int, bool) {
	numbers, ok := v.(tuple)
	if !ok || len(numbers) > maxDimensions {
		return nil, false
	}
	out := make([]int, len(numbers))
	for i, x := range numbers {
		n, ok := x.(int64)
		if !ok || n < 0 || n != int64(int(n)) {
			return nil, false
		}
		out[i] = int(n)
	}
	return out, true
}

// rebuildDict makes a dict, empty or of a list of pairs.
func rebuildDict(args tuple) (any, error) {
	d := &dict{}
	if len(args) == 0 {
		return d, nil
	}
	pairs, ok := args[0].(*list)
	if !ok {
		return d, nil // the first argument of a defaultdict is what makes its values
	}
	for _, pair := range pairs.items {
		switch pair := pair.(type) {
		case tuple:
			if len(pair) == 2 {
				d.set(pair[0], pair[1])
				continue
			}
		case *list:
			if len(pair.items) == 2 {
				d.set(pair.items[0], pair.items[1])
				continue
			}
		}
		return nil, errors.New("a dict is made of what are no pairs")
	}
	return d, nil
}

// storageType returns the type of a storage class's elements; ok is false if it is none.
func storageType(class global) (kind stored.Type, ok bool) {
	switch class.module {
	case "torch", "torch.cuda", "torch.storage":
	default:
		return "", false
	}
	switch class.name {
	case "DoubleStorage":
		return stored.F64, true
	case "FloatStorage":
		return stored.F32, true
	case "HalfStorage":
		return stored.F16, true
	case "BFloat16Storage":
		return stored.BF16, true
	case "LongStorage":
		return stored.I64, true
	case "IntStorage", "QInt32Storage":
		return stored.I32, true
	case "ShortStorage":
		return stored.I16, true
	case "CharStorage", "QInt8Storage":
		return stored.I8, true
	case "ByteStorage", "QUInt8Storage":
		return stored.U8, true
	case "BoolStorage":
		return stored.Bool, true
	case "ComplexFloatStorage":
		return stored.C64, true
	case "ComplexDoubleStorage":
		return stored.C128, true
	case "UntypedStorage":
		return "", true
	}
	return "", false
}

// dtypes returns the type that PyTorch calls so; "" for one that is not known.
func dtypes(name string) stored.Type {
	return map[string]stored.Type{
		"float64": stored.F64, "float32": stored.F32, "float16": stored.F16, "bfloat16": stored.BF16,
		"int64": stored.I64, "int32": stored.I32, "int16": stored.I16, "int8": stored.I8,
		"uint64": stored.U64, "uint32": stored.U32, "uint16": stored.U16, "uint8": stored.U8,
		"bool": stored.Bool, "complex64": stored.C64, "complex128": stored.C128,
		"float8_e4m3fn": stored.F8E4M3, "float8_e5m2": stored.F8E5M2,
	}[name]
}

// open gives a tensor its name, and checks that it lies in its storage.
func (t tensor) open(name string, bigEndian bool) (stored.Tensor, error) {
	s := t.storage
	room := s.size // in elements of the tensor
	if s.kind == "" {
		room /= t.kind.Size()
	}
	elements, ok := stored.Elements(t.shape)
	if !ok || elements > room && (elements > maxExpanded || room == 0) {
		return stored.Tensor{}, fmt.Errorf("shape %v is more than its storage of %d elements has", t.shape, room)
	}
	out := stored.Tensor{Name: name, Type: t.kind, Shape: t.shape, Content: s.content, BigEndian: bigEndian}
	if elements == 0 {
		return out, nil
	}
	rowMajor, step := true, 1
	if t.offset >= room {
		return stored.Tensor{}, errOutside
	}
	rest := room - 1 - t.offset // elements behind the last one reached
	for i := len(t.shape) - 1; i >= 0; i-- {
		n, stride := t.shape[i], t.strides[i]
		if n > 1 {
			if stride > rest/(n-1) {
				return stored.Tensor{}, errOutside
			}
			rest -= (n - 1) * stride
			rowMajor = rowMajor && stride == step
		}
		step *= n
	}
	out.Offset = t.offset * t.kind.Size()
	if !rowMajor {
		out.Strides = t.strides
	}
	return out, nil
}

// maxExpanded is how many numbers a tensor may have that repeats those of its storage, as expand makes them.
const maxExpanded = 1 << 16

var errOutside = errors.New("it reaches out of its storage: damaged")
