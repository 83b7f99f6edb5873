package npy

import (
	"bytes"
	"reflect"
	"testing"
)

func TestWrite(t *testing.T) {
	for _, shape := range [][]int{{6}, {2, 3}, {1, 2, 3, 1}} {
		want := Array{Shape: shape, Data: []float32{1, -2, 0.5, 1e30, 0, 7}}
		var b bytes.Buffer
		if err := Write(&b, want); err != nil {
			t.Fatal(err)
		}
		if at := b.Len() - 24; at%64 != 0 {
			t.Errorf("the data begins at byte %d", at)
		}
		if got, err := Read(bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v, %v", got, err)
		}
	}
	var b bytes.Buffer
	if err := WriteUint8(&b, []int{2}, []uint8{1, 255}); err != nil || !bytes.HasSuffix(b.Bytes(), []byte("\n\x01\xff")) {
		t.Errorf("bytes %q, %v", b.Bytes(), err)
	}
}

func TestWriteInt64(t *testing.T) {
	var b bytes.Buffer
	want := "\n\x01\x00\x00\x00\x00\x00\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff"
	if err := WriteInt64(&b, []int{2}, []int64{1, -2}); err != nil || !bytes.HasSuffix(b.Bytes(), []byte(want)) || !bytes.Contains(b.Bytes(), []byte("'<i8'")) {
		t.Errorf("bytes %q, %v", b.Bytes(), err)
	}
}
