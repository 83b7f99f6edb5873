package params

import (
	"reflect"
	"strings"
)

// Concealer is implemented by string types of which a part may be secret, such
// as an address with a token in it.
type Concealer interface {
	// ShowParam returns what may be shown of the value. It stands for the
	// value in recipes too.
	ShowParam() string
}

// hiddenValue stands for a secret value where parameters are shown.
const hiddenValue = "(secret)"

// MayBeSecret tells whether the parameter at a path below parameters of type t
// is one that is not shown, or not all of it. The path is that of an [Error].
func MayBeSecret(t reflect.Type, path string) bool { return isSecret(t, splitPath(path), conceals) }

// IsSecret tells whether the parameter at a path is secret as a whole.
func IsSecret(t reflect.Type, path string) bool {
	return isSecret(t, splitPath(path), func(reflect.Type) bool { return false })
}

func isSecret(t reflect.Type, steps []string, partly func(reflect.Type) bool) bool {
	if partly(t) {
		return true // in whatever spelling
	}
	switch t.Kind() {
	case reflect.Pointer:
		return isSecret(t.Elem(), steps, partly)
	case reflect.Slice: // of which a single item may be spelled alone
		if len(steps) > 0 && strings.HasPrefix(steps[0], "[") {
			steps = steps[1:]
		}
		return isSecret(t.Elem(), steps, partly)
	case reflect.Map:
		return len(steps) > 0 && isSecret(t.Elem(), steps[1:], partly)
	case reflect.Struct:
		if len(steps) == 0 {
			return false
		}
		for _, f := range Fields(t) {
			if f.Name == steps[0] {
				return f.Secret || isSecret(f.Type, steps[1:], partly)
			}
		}
	}
	return false
}

func conceals(t reflect.Type) bool { return t.Implements(reflect.TypeFor[Concealer]()) }
