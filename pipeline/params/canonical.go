package params

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// ByContent is implemented by string types that may hold a path to what counts by its content alone, which the stage tells
// elsewhere.
type ByContent interface {
	// RecipeParam returns the value without the path. It stands for the value in recipes.
	RecipeParam() string
}

// Value is one parameter in canonical form: its path and its value as text.
type Value struct{ Path, Text string }

// Canonical flattens parameters into sorted paths and values, leaving out
// those tagged recipe:"-" or secret:"true". Equal parameters give equal lists, however they
// were spelled in YAML; defaults are written out. Text is unambiguous per
// path: strings are quoted, empty lists and absent values are marked.
func Canonical(p any) []Value {
	return flatten(p, true)
}

// Flatten is Canonical with every parameter, for showing. Secret ones are there
// without their values.
func Flatten(p any) []Value {
	return flatten(p, false)
}

func flatten(p any, recipeOnly bool) []Value {
	var out []Value
	var walk func(v reflect.Value, path []string)
	add := func(path []string, text string) { out = append(out, Value{joinPath(path), text}) }
	walk = func(v reflect.Value, path []string) {
		path = slices.Clip(path)
		if v.Type() == reflect.TypeFor[time.Duration]() {
			add(path, v.Interface().(time.Duration).String())
			return
		}
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() {
				add(path, "none")
				return
			}
			walk(v.Elem(), path)
		case reflect.Struct:
			for _, f := range Fields(v.Type()) {
				switch {
				case f.Secret && !recipeOnly && !v.FieldByIndex(f.index).IsZero():
					add(append(path, f.Name), hiddenValue)
				case f.InRecipe || !recipeOnly && !f.Secret:
					walk(v.FieldByIndex(f.index), append(path, f.Name))
				}
			}
		case reflect.Slice, reflect.Array:
			if v.Len() == 0 {
				add(path, "[]")
			}
			for i := range v.Len() {
				walk(v.Index(i), append(path, fmt.Sprintf("[%d]", i)))
			}
		case reflect.Map:
			if v.Len() == 0 {
				add(path, "{}")
			}
			keys := v.MapKeys()
			slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
			for _, k := range keys {
				// Quoted, so that a key with a dot is not taken for two steps.
				walk(v.MapIndex(k), append(path, strconv.Quote(k.String())))
			}
		case reflect.String:
			text := v.String()
			if c, ok := v.Interface().(Concealer); ok {
				text = c.ShowParam()
			}
			if c, ok := v.Interface().(ByContent); ok && recipeOnly {
				text = c.RecipeParam()
			}
			add(path, strconv.Quote(text))
		case reflect.Float32:
			add(path, strconv.FormatFloat(v.Float(), 'g', -1, 32))
		case reflect.Float64:
			add(path, strconv.FormatFloat(v.Float(), 'g', -1, 64))
		default:
			add(path, fmt.Sprint(v.Interface()))
		}
	}
	walk(reflect.ValueOf(p), nil)
	slices.SortFunc(out, func(a, b Value) int { return cmp.Compare(a.Path, b.Path) })
	return out
}
