package backbone

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// fit tells how well a file's tensors bear the names of a naming.
type fit struct {
	naming         naming
	found, missing int // of the network's tensors
}

// better tells whether f fits better than g.
func (f fit) better(g fit) bool {
	return f.found > g.found || f.found == g.found && f.found > 0 && f.missing < g.missing
}

// recognise finds the naming of the backbone's variant that fits the file best. One by position has to
// fit better than those by name.
func (b Backbone) recognise(tensors []stored.Tensor, whole *nn.Network) fit {
	namings := append([]naming{native()}, b.variants[b.chosen].namings...)
	for _, names := range b.variants[b.chosen].namings {
		if names.order != kerasOrder {
			continue
		}
		if names, ok := names.byPosition(tensors, whole); ok {
			namings = append(namings, names)
		}
	}
	inFile := byName(tensors)
	var best fit
	for _, names := range namings {
		f := fit{naming: names}
		for _, p := range whole.Parameters() {
			if _, ok := inFile[names.tensor(p)]; ok {
				f.found++
			} else {
				f.missing++
			}
		}
		if f.better(best) {
			best = f
		}
	}
	return best
}

// namingOf returns what the file calls the tensors of the backbone's variant.
func (b Backbone) namingOf(tensors []stored.Tensor, whole *nn.Network) (naming, error) {
	best := b.recognise(tensors, whole)
	if best.found == 0 {
		if other, err := b.variantOf(tensors); err == nil {
			return naming{}, fmt.Errorf("its tensors have the names of another variant: write %s: before it", other.variants[other.chosen].name)
		}
	}
	return best.naming, b.check(tensors, best)
}

// variantOf finds the variant whose names fit the file best.
func (b Backbone) variantOf(tensors []stored.Tensor) (Backbone, error) {
	var best fit
	var fitting []string // variants that fit equally well
	for _, name := range b.Variants() {
		f, err := b.fitOf(tensors, name)
		switch {
		case err != nil:
			return Backbone{}, err
		case f.better(best):
			best, fitting = f, []string{name}
		case f.found > 0 && !best.better(f):
			fitting = append(fitting, name)
		}
	}
	if err := b.check(tensors, best); err != nil {
		return Backbone{}, err
	}
	if len(fitting) > 1 && best.naming.order != nativeOrder {
		return Backbone{}, fmt.Errorf("the names of its tensors are those of %s, which builds the architecture in more than one way: say which variant it is, as in %s:PATH (%s)",
			best.naming.title, fitting[0], strings.Join(fitting, " or "))
	}
	return b.As(fitting[0])
}

// fitOf tells how well the file fits a variant.
func (b Backbone) fitOf(tensors []stored.Tensor, variant string) (fit, error) {
	b, err := b.As(variant)
	if err != nil {
		return fit{}, err
	}
	whole, err := b.whole()
	if err != nil {
		return fit{}, err
	}
	return b.recognise(tensors, whole), nil
}

// whole is the network for pictures of the size that its weights want, at which no part is left out.
func (b Backbone) whole() (*nn.Network, error) {
	p := b.Preprocessing()
	return b.Network(p.Height, p.Width)
}

// check refuses a file that has none of the backbone's names, or better those of another backbone.
func (b Backbone) check(tensors []stored.Tensor, best fit) error {
	others := 0 // tensors that are not the backbone's
	for _, t := range tensors {
		if !best.naming.ignored(t.Name) {
			others++
		}
	}
	others -= best.found
	if others == 0 && 10*best.missing < best.found { // but for a classifier
		return nil
	}
	another := ""
	for _, entry := range All() {
		for _, variant := range entry.Variants() {
			f, err := entry.fitOf(tensors, variant)
			if err != nil {
				return err
			}
			if entry.Name != b.Name && f.better(best) && 2*f.missing < f.found { // a classifier may be missing
				best, another = f, entry.Name
			}
		}
	}
	switch {
	case another != "":
		return fmt.Errorf("it is no %s: the names of its tensors are those of %s", b.Name, another)
	case best.found == 0:
		return b.unknownNames(tensors)
	}
	return nil
}

// unknownNames says that a file's tensors have no names that any variant has.
func (b Backbone) unknownNames(tensors []stored.Tensor) error {
	titles := []string{native().title}
	for _, v := range b.variants {
		for _, names := range v.namings {
			if !slices.Contains(titles, names.title) {
				titles = append(titles, names.title)
			}
		}
	}
	return fmt.Errorf("none of its %d tensors has a name that this architecture has (names known: those of %s)", len(tensors), strings.Join(titles, ", "))
}

func byName(tensors []stored.Tensor) map[string]stored.Tensor {
	named := map[string]stored.Tensor{}
	for _, t := range tensors {
		named[t.Name] = t
	}
	return named
}
