package mapped

import (
	"errors"
	"fmt"
)

// Parse maps a file and returns what parse makes of its bytes, which may go on using them until closing
// is called.
func Parse[T any](path string, parse func(data []byte) (T, error)) (parsed T, closing func() error, err error) {
	m, err := Open(path)
	if err != nil {
		return parsed, nil, fmt.Errorf("read %s: %w", path, err)
	}
	err = Guard(func() (err error) {
		parsed, err = parse(m.Bytes())
		return err
	})
	if err != nil {
		return parsed, nil, errors.Join(fmt.Errorf("read %s: %w", path, err), m.Close())
	}
	return parsed, m.Close, nil
}
