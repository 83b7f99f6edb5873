package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// Entry is a tensor of a state dict that is to be written.
type Entry struct {
	Name  string
	Shape []int
	Type  stored.Type // F32, F16 or I64
	Data  []float32   // of F32 and F16
	Count int64       // of I64, which has no axes
}

// Write writes a state dict as torch.save does since PyTorch 1.6, which torch.load reads with weights_only=True: an archive of a
// pickle of protocol 2, and a file for the numbers of each tensor. Equal tensors give equal bytes.
func Write(w io.Writer, tensors []Entry) error {
	archive := zip.NewWriter(w)
	file := func(name string, content []byte) error {
		f, err := archive.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
		if err != nil {
			return err
		}
		_, err = f.Write(content)
		return err
	}
	p, err := pickled(tensors)
	if err != nil {
		return err
	}
	if err := file("data.pkl", p); err != nil {
		return err
	}
	if err := file("byteorder", []byte("little")); err != nil {
		return err
	}
	for i, t := range tensors {
		if err := file("data/"+strconv.Itoa(i), t.numbers()); err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
	}
	if err := file("version", []byte("3\n")); err != nil {
		return err
	}
	return archive.Close()
}

// numbers are the bytes of the tensor's storage.
func (t Entry) numbers() []byte {
	var out []byte
	switch t.Type {
	case stored.I64:
		return binary.LittleEndian.AppendUint64(nil, uint64(t.Count))
	case stored.F16:
		for _, v := range t.Data {
			out = binary.LittleEndian.AppendUint16(out, stored.Float16(v))
		}
	default:
		out = make([]byte, 0, 4*len(t.Data))
		for _, v := range t.Data {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
	}
	return out
}

// elements is how many numbers the tensor has, and the class of its storage.
func (t Entry) elements() (n int, class string, err error) {
	switch t.Type {
	case stored.I64:
		return 1, "LongStorage", nil
	case stored.F16:
		class = "HalfStorage"
	case stored.F32:
		class = "FloatStorage"
	default:
		return 0, "", fmt.Errorf("tensor %s: type %v is not written", t.Name, t.Type)
	}
	n = 1
	for _, d := range t.Shape {
		n *= d
	}
	if n != len(t.Data) || n > math.MaxInt32 {
		return 0, "", fmt.Errorf("tensor %s of shape %v has %d numbers", t.Name, t.Shape, len(t.Data))
	}
	return n, class, nil
}

// pickled is the pickle of a dict of tensors.
func pickled(tensors []Entry) ([]byte, error) {
	p := &pickler{}
	p.ops(opProto, 2, opEmptyDict, opMark)
	for i, t := range tensors {
		n, class, err := t.elements()
		if err != nil {
			return nil, err
		}
		p.text(t.Name)
		p.global("torch._utils", "_rebuild_tensor_v2")
		p.ops(opMark, opMark)
		p.text("storage")
		p.global("torch", class)
		p.text(strconv.Itoa(i))
		p.text("cpu")
		p.number(n)
		p.ops(opTuple, opBinPersID)
		p.number(0) // offset in the storage
		p.tuple(t.Shape)
		strides := make([]int, len(t.Shape))
		for axis, step := len(t.Shape)-1, 1; axis >= 0; axis-- {
			strides[axis] = step
			step *= t.Shape[axis]
		}
		p.tuple(strides)
		p.ops(opNewFalse) // no gradient
		p.global("collections", "OrderedDict")
		p.ops(opEmptyTuple, opReduce) // no hooks
		p.ops(opTuple, opReduce)
	}
	p.ops(opSetItems, opStop)
	return p.Bytes(), nil
}

// pickler writes instructions.
type pickler struct{ bytes.Buffer }

func (p *pickler) ops(codes ...byte) { p.Write(codes) }

func (p *pickler) text(s string) {
	p.ops(opBinUnicode)
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.WriteString(s)
}

func (p *pickler) number(n int) {
	p.ops(opBinInt)
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(int32(n))))
}

func (p *pickler) global(module, name string) {
	p.ops(opGlobal)
	p.WriteString(module + "\n" + name + "\n")
}

func (p *pickler) tuple(numbers []int) {
	p.ops(opMark)
	for _, n := range numbers {
		p.number(n)
	}
	p.ops(opTuple)
}
