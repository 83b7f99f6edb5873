package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// magic is the number that the first pickle of the old format holds, in its bytes.
const magic = longNumber("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")

// ParseStream reads the format before PyTorch 1.6: pickles of a magic number, a version, notes on the
// machine, the object and the storages' keys, followed by the storages' sizes and numbers.
func ParseStream(data []byte) ([]stored.Tensor, error) {
	storages := map[string]*storage{}
	u := unpickler{data: data, call: called}
	u.persistent = func(id any) (any, error) { return identify(id, storages, nil) }
	next := func(what string) (any, error) {
		v, err := u.load()
		if err != nil {
			return nil, fmt.Errorf("the pickle of its %s: %w", what, err)
		}
		return v, nil
	}
	if v, err := next("magic number"); err != nil || v != any(magic) {
		return nil, errors.Join(errors.New("a pickle, but none that torch.save wrote"), err)
	}
	for _, what := range []string{"version", "machine"} {
		if _, err := next(what); err != nil {
			return nil, err
		}
	}
	root, err := next("object")
	if err != nil {
		return nil, err
	}
	keys, err := next("storages")
	if err != nil {
		return nil, err
	}
	if err := locate(u.data[u.at:], keys, storages); err != nil {
		return nil, err
	}
	return named(root, false)
}

// locate finds the storages, which follow one another, each behind its size in eight bytes.
func locate(data []byte, keys any, storages map[string]*storage) error {
	order, ok := keys.(*list)
	if !ok {
		return fmt.Errorf("its storages' keys are %s", describe(keys))
	}
	found := map[string]stored.Raw{}
	for _, key := range order.items {
		name, ok := key.(string)
		s := storages[name]
		if !ok || s == nil || found[name] != nil {
			return errors.New("its storages' keys are not those of its tensors: damaged")
		}
		width := max(s.kind.Size(), 1)
		if len(data) < 8 || binary.LittleEndian.Uint64(data) > uint64(len(data)-8)/uint64(width) {
			return fmt.Errorf("the storage %q reaches beyond the end of the file: truncated or damaged", name)
		}
		size := int(binary.LittleEndian.Uint64(data))
		if size != s.size {
			return fmt.Errorf("the storage %q has %d elements and should have %d: damaged", name, size, s.size)
		}
		end := 8 + size*width
		found[name], data = stored.Raw(data[8:end:end]), data[end:]
	}
	for name, s := range storages {
		if found[name] == nil {
			return fmt.Errorf("the storage %q is not there: truncated or damaged", name)
		}
		s.content = found[name]
	}
	return nil
}

// ParseZip reads the format since PyTorch 1.6, an archive of a pickle and a file for each storage.
func ParseZip(entries map[string]*mapped.Entry) ([]stored.Tensor, error) {
	folder := ""
	for name := range entries {
		if dir, ok := strings.CutSuffix(name, "data.pkl"); ok && strings.Count(dir, "/") <= 1 {
			folder = dir
		}
	}
	root := entries[folder+"data.pkl"]
	switch {
	case root == nil:
		return nil, errors.New("a zip archive without a data.pkl, so not of torch.save")
	case entries[folder+"constants.pkl"] != nil:
		return nil, errors.New("a TorchScript program, which is not run: load it with torch.jit.load and save its state_dict()")
	}
	bigEndian := false
	if order, err := content(entries[folder+"byteorder"]); err != nil {
		return nil, err
	} else if bigEndian = string(order) == "big"; !bigEndian && order != nil && string(order) != "little" {
		return nil, fmt.Errorf("the byte order %.10q is not known", order)
	}
	data, err := content(root)
	if err != nil {
		return nil, err
	}
	storages := map[string]*storage{}
	u := unpickler{data: data, call: called}
	u.persistent = func(id any) (any, error) {
		return identify(id, storages, func(key string) *mapped.Entry { return entries[folder+"data/"+key] })
	}
	v, err := u.load()
	if err != nil {
		return nil, fmt.Errorf("its data.pkl: %w", err)
	}
	return named(v, bigEndian)
}

// content returns the content of an entry, nil if there is none.
func content(e *mapped.Entry) ([]byte, error) {
	if e == nil {
		return nil, nil
	}
	return e.Bytes()
}

// identify returns the storage of a persistent id: ("storage", class, key, device, elements, view). In the
// old format view is nil or (key, offset, elements) of a part of it; where find is nil.
func identify(id any, storages map[string]*storage, find func(key string) *mapped.Entry) (any, error) {
	fields, _ := id.(tuple)
	if len(fields) > 0 && fields[0] == "module" {
		return nil, errors.New("it holds a whole module, as torch.save(model) writes; nothing of it was run. Save model.state_dict() in its place")
	}
	if len(fields) < 5 || fields[0] != "storage" {
		return nil, errors.New("it refers to something else than a storage")
	}
	class, ok := fields[1].(global)
	key, ok1 := fields[2].(string)
	elements, ok2 := fields[4].(int64)
	if !ok || !ok1 || !ok2 || elements < 0 || elements != int64(int(elements)) {
		return nil, errors.New("it refers to a storage without class, key and size")
	}
	kind, ok := storageType(class)
	if !ok {
		return nil, fmt.Errorf("it refers to a storage of %.100s, which is not known", class)
	}
	s := storages[key]
	switch {
	case s == nil:
		s = &storage{kind: kind, size: int(elements)}
		storages[key] = s
	case s.kind != kind || s.size != int(elements):
		return nil, fmt.Errorf("it refers to the storage %q in two ways", key)
	}
	if find == nil {
		if len(fields) > 5 && fields[5] != nil {
			return nil, errors.New("it holds a part of a storage, as PyTorch before 0.4 wrote: load and save it with a newer one")
		}
		return s, nil
	}
	entry := find(key)
	if entry == nil {
		return nil, fmt.Errorf("the storage %q is not there: damaged", key)
	}
	size, err := entry.Size()
	if err != nil {
		return nil, err
	}
	if width := max(kind.Size(), 1); s.size > size/width {
		return nil, fmt.Errorf("the storage %q has %d bytes, too few for %d elements of %d: truncated or damaged", key, size, s.size, width)
	}
	s.content = entry
	return s, nil
}
