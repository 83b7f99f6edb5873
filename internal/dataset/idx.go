package dataset

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/pipeline"
)

// IDX is a pair of files as MNIST's: pictures [n, height, width], or with 3
// colours [n, height, width, 3], of bytes, and labels [n], each plain or
// gzipped. The id is the name of the pictures' file and the number in it.
type IDX struct {
	Images  string
	Labels  string   // "" if there are none
	Classes []string // names of the labels, counted from 0; nil: the numbers are the names
	Limits  Limits
}

// Open implements Source.
func (x IDX) Open() (Reader, error) { return &idxReader{newArchives(x.Limits)}, nil }

// idxReader gives the pictures as PGM or PPM files, which any decoder reads.
type idxReader struct {
	*archives
}

func (r *idxReader) Read(ctx context.Context, at Location) ([]byte, error) {
	f, done, err := r.at(ctx, at.Path)
	if err != nil {
		return nil, err
	}
	defer done()
	shape, err := readIDXHead(io.NewSectionReader(f, 0, 64))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	}
	samples, err := r.read(ctx, at)
	if err != nil {
		return nil, err
	}
	return append(pnmHead(shape), samples...), nil
}

// pnmHead is the head of one picture of an IDX file as a PGM or PPM file.
func pnmHead(shape []int) []byte {
	kind := "P5"
	if len(shape) == 4 {
		kind = "P6"
	}
	return fmt.Appendf(nil, "%s %d %d 255\n", kind, shape[2], shape[1])
}

// List implements Source.
func (x IDX) List(ctx context.Context, files pipeline.Files) (Rows, error) {
	if _, err := os.Stat(x.Images); errors.Is(err, fs.ErrNotExist) {
		return Rows{}, fmt.Errorf("there is no file %s", x.Images)
	}
	rows, err := indexed(ctx, files, []string{x.Images}, "rows of an IDX file, 2", func(path string) (Rows, error) {
		f, err := openUnpacked(path, x.Limits)
		if err != nil {
			return Rows{}, err
		}
		rows, err := readIDX(ctx, f, f.budget)
		return rows, errors.Join(err, f.Close())
	})
	if err != nil || x.Labels == "" || len(rows.All) == 0 {
		return rows, err
	}
	labels, err := x.labels(ctx, len(rows.All)+len(rows.Rejects))
	if err != nil {
		return rows, fmt.Errorf("read the labels %s: %w", x.Labels, err)
	}
	for i := range rows.All {
		rows.All[i].Label = fmt.Sprint(labels[i])
	}
	rows.nameClasses(x.Classes)
	return rows, nil
}

// labels reads the file of labels, which must be so many.
func (x IDX) labels(ctx context.Context, want int) (labels []byte, err error) {
	f, err := openUnpacked(x.Labels, x.Limits)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in := bufio.NewReader(f.budget.Reader(budget.Memory, withContext(ctx, f)))
	shape, err := readIDXHead(in)
	if err != nil {
		return nil, err
	}
	if len(shape) != 1 {
		return nil, fmt.Errorf("labels of shape %v, not one a picture", shape)
	}
	if shape[0] != want {
		return nil, fmt.Errorf("it has %d labels for the %d pictures of %s", shape[0], want, x.Images)
	}
	// Read to the end rather than what the head promises: it may lie.
	labels, err = io.ReadAll(io.LimitReader(in, int64(shape[0])))
	if err == nil && len(labels) < shape[0] {
		err = fmt.Errorf("the data ends after %d of %d labels", len(labels), shape[0])
	}
	return labels, err
}

// maxSamples bounds one picture of an IDX file, in bytes.
const maxSamples = 64 << 20

// readIDX makes the index of a file of pictures.
func readIDX(ctx context.Context, from io.Reader, b *budget.Budget) (rows Rows, err error) {
	in := bufio.NewReaderSize(withContext(ctx, from), 1<<16)
	shape, err := readIDXHead(in)
	if err != nil {
		return rows, malformed{err}
	}
	if len(shape) != 3 && (len(shape) != 4 || shape[3] != 3) {
		return rows, malformed{fmt.Errorf("shape %v is not that of pictures", shape)}
	}
	size := int64(1)
	for _, n := range shape[1:] {
		size *= int64(n)
		if size == 0 || size > maxSamples {
			return rows, malformed{fmt.Errorf("shape %v is not that of pictures", shape)}
		}
	}
	head := pnmHead(shape)
	buffer := make([]byte, min(size, 1<<16)) // the size is what the head says
	offset := int64(4 + 4*len(shape))
	for i := range shape[0] {
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		hash := sha256.New()
		hash.Write(head)
		n, err := io.CopyBuffer(hash, io.LimitReader(in, size), buffer)
		if err == nil && n < size {
			err = io.ErrUnexpectedEOF
		}
		if err == nil {
			err = takeRow(b, 0)
		}
		if budget.Exceeded(err) {
			return rows, malformed{err}
		}
		if ctx.Err() != nil {
			return rows, ctx.Err()
		}
		if err != nil {
			return rows, malformed{fmt.Errorf("the data ends after %d of %d pictures", i, shape[0])}
		}
		rows.All = append(rows.All, Row{
			ID:     fmt.Sprintf("%0*d", len(fmt.Sprint(shape[0]-1)), i),
			Digest: hex.EncodeToString(hash.Sum(nil)),
			At:     Location{Offset: offset, Size: size},
		})
		offset += size
	}
	return rows, nil
}

// readIDXHead reads the shape: two zeros, the type (8: bytes), the number of
// dimensions, and each as a big-endian 32-bit number.
func readIDXHead(in io.Reader) ([]int, error) {
	var magic [4]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil {
		return nil, tooShort(err)
	}
	if magic[0] != 0 || magic[1] != 0 {
		return nil, errors.New("not an IDX file: it does not start as one")
	}
	if magic[2] != 8 {
		return nil, fmt.Errorf("IDX values of type %#02x are not supported, only bytes (0x08)", magic[2])
	}
	if magic[3] < 1 || magic[3] > 4 {
		return nil, fmt.Errorf("IDX of %d dimensions are not supported", magic[3])
	}
	shape := make([]int, magic[3])
	var raw [4]byte
	for i := range shape {
		if _, err := io.ReadFull(in, raw[:]); err != nil {
			return nil, tooShort(err)
		}
		n := binary.BigEndian.Uint32(raw[:])
		if n > 1<<31-1 {
			return nil, fmt.Errorf("IDX dimension of %d is not supported", n)
		}
		shape[i] = int(n)
	}
	return shape, nil
}

// tooShort says that a file ends before its head does, unless it could not be read.
func tooShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("not an IDX file: it is too short")
	}
	return fmt.Errorf("read its head: %w", err)
}
