package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ModelVersion is the version of the form in which models are stored. Form 1 had no description: the
// metadata told classes, preprocessing and extraction apart. [DescribeFirstForm] still reads it.
const ModelVersion = 2

// Description is all that has to be known of a model to run it and to judge whether it may be used,
// beside its network and tensors. It stands in the metadata of a stored model as JSON.
type Description struct {
	Version int          `json:"version"` // of the form: ModelVersion
	Inputs  []ModelInput `json:"inputs"`  // as the network names them
	Heads   []Head       `json:"heads"`

	Origins   []Origin   `json:"origins,omitempty"`   // of the weights that training started with, of backbones that make its features, and of its teachers' weights
	Recipe    *Recipe    `json:"recipe,omitempty"`    // what made it
	Selection *Selection `json:"selection,omitempty"` // why it has the weights of this epoch and no other

	Reference *Reference `json:"reference,omitempty"` // answers to rows that it did not learn from; nil: new ones are held against nothing

	Quantisation *Quantisation `json:"quantisation,omitempty"` // how its numbers rest and are computed with; nil: float32
}

// ModelInput is an input of a model's network, and how it is made of what a row holds.
type ModelInput struct {
	Name       string     `json:"name"`
	Shape      []int      `json:"shape"`                // of an example
	Column     string     `json:"column,omitempty"`     // of the tables that hold it ready made, such as "feature"
	Transforms Transforms `json:"transforms,omitempty"` // from the bytes of a file to the input; none: it is not known
}

// Origin is where weights come from.
type Origin struct {
	Backbone string `json:"backbone"`
	Variant  string `json:"variant,omitempty"` // "" for the default one
	Weights  string `json:"weights"`           // a weight set, "random", or "file"
	Digest   string `json:"digest,omitempty"`  // hexadecimal SHA-256 of their file; "" for random ones
	Seed     uint64 `json:"seed,omitempty"`    // of random ones
	Address  string `json:"address,omitempty"` // where the weight set is published
	Licence  string `json:"licence,omitempty"` // SPDX, several joined by AllLicences; "" if it is not known
	Role     string `json:"role,omitempty"`    // "" of weights that are in the model, trained further or not; or RoleTeacher
}

// Parts of SPDX expressions.
const (
	AllLicences    = " AND "       // between licences that all hold
	UnknownLicence = "NOASSERTION" // one that is not known
)

// OwnOrigins are those of weights that are in the model, trained further or not: without its teachers'.
func (d Description) OwnOrigins() []Origin { return OwnOrigins(d.Origins) }

// OwnOrigins leaves out those of teachers.
func OwnOrigins(all []Origin) []Origin {
	return slices.DeleteFunc(slices.Clone(all), func(o Origin) bool { return o.Role != "" })
}

// TaughtBy adds to the origins of a model those of a teacher that it learned from, and of the teacher's teachers, each once.
func TaughtBy(own, teachers []Origin) []Origin {
	out := slices.Clone(own)
	for _, o := range teachers {
		o.Role = RoleTeacher
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}

// Recipe is what decided a model, but for its inputs.
type Recipe struct {
	Digest string        `json:"digest"` // hexadecimal SHA-256 of the fields
	Fields []RecipeField `json:"fields"`
}

// RecipeField is a setting, in its canonical form.
type RecipeField struct {
	Name  string `json:"name"` // such as "params.epochs"
	Value string `json:"value"`
}

// Selection tells which epoch a model's weights are those of, and what they were chosen by. It is
// measured on rows that training validates on, so it says little of rows that nobody has seen.
type Selection struct {
	By      string             `json:"by"`                // one of the Chosen words
	Phase   string             `json:"phase,omitempty"`   // of a training; or the candidate that was chosen, such as "penalty 0.1"
	Epoch   int                `json:"epoch"`             // from 1, over all phases; 0: what the training began with. Or the candidate's number, from 1
	Tried   int                `json:"tried,omitempty"`   // candidates of a classifier that is fitted to its end; 0 for a training
	Split   string             `json:"split,omitempty"`   // whose rows Metrics was measured on
	Rows    int                `json:"rows"`              // of that split
	Trained int                `json:"trained"`           // rows that were learned from, copies too
	Metrics map[string]float64 `json:"metrics,omitempty"` // such as "loss"; without those that are not numbers
}

// What weights are chosen by.
const (
	ChosenByLoss     = "val_loss"         // on the rows of split val
	ChosenByAccuracy = "val_accuracy"     // on the rows of split val
	ChosenByCross    = "cross_validation" // on the training rows
	ChosenLast       = "last"             // the last epoch, whatever it was
	ChosenOnly       = "only"             // there was nothing to choose
)

// Bounds of descriptions: a file that says more is refused, not believed.
const (
	maxDescription = 64 << 20 // bytes
	maxInputs      = 256
	maxHeads       = 1024
	maxOrigins     = 1024
)

// Encode gives the text that stands in metadata.
func (d Description) Encode() (string, error) {
	if err := d.Check(); err != nil {
		return "", err
	}
	text, err := json.Marshal(d)
	return string(text), err
}

// ParseDescription reads what Encode wrote. Transforms that this version of the program does not know
// are kept as [UnknownStep], so that a model can be shown that cannot be run.
func ParseDescription(text string) (Description, error) {
	var d Description
	if len(text) > maxDescription {
		return d, fmt.Errorf("read what a model says of itself: %d bytes are more than the %d allowed", len(text), maxDescription)
	}
	var version struct{ Version int }
	if err := json.Unmarshal([]byte(text), &version); err != nil {
		return d, fmt.Errorf("read what a model says of itself: %w", err)
	}
	if version.Version > ModelVersion {
		return d, &NewerModelError{version.Version}
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, fmt.Errorf("read what a model says of itself: %w", err)
	}
	if err := d.Check(); err != nil {
		return d, fmt.Errorf("read what a model says of itself: %w", err)
	}
	return d, nil
}

// NewerModelError says that a model is stored in a form of a later version of the program.
type NewerModelError struct{ Version int }

func (e *NewerModelError) Error() string {
	return fmt.Sprintf("the model is stored in form %d, and this tlpipe reads forms up to %d: a newer tlpipe reads it", e.Version, ModelVersion)
}

// Check tells what is wrong with a description.
func (d Description) Check() error {
	switch {
	case d.Version != ModelVersion:
		return fmt.Errorf("there is no form %d of models", d.Version)
	case len(d.Inputs) == 0:
		return errors.New("the model has no input")
	case len(d.Inputs) > maxInputs || len(d.Heads) > maxHeads || len(d.Origins) > maxOrigins:
		return fmt.Errorf("%d inputs, %d heads, %d origins of weights are more than a model can have", len(d.Inputs), len(d.Heads), len(d.Origins))
	}
	names := map[string]bool{}
	if d.Quantisation != nil {
		if err := d.Quantisation.check(); err != nil {
			return err
		}
	}
	if d.Reference != nil {
		if _, err := d.Reference.Sample(); err != nil {
			return err
		}
	}
	for _, in := range d.Inputs {
		if in.Name == "" || names[in.Name] {
			return fmt.Errorf("input %q has no name, or that of another", in.Name)
		}
		names[in.Name] = true
		if err := in.Transforms.Check(); err != nil {
			return fmt.Errorf("input %q: %w", in.Name, err)
		}
	}
	clear(names)
	for _, h := range d.Heads {
		if err := h.Check(); err != nil {
			return err
		}
		if names[h.Name] {
			return fmt.Errorf("two heads are named %q", h.Name)
		}
		names[h.Name] = true
	}
	return nil
}

// Licences are those of the weights that the model was made with, and of those of its teachers, each once. ok is false if one of them
// is not known.
func (d Description) Licences() (licences []string, ok bool) {
	ok = true
	seen := map[string]bool{}
	for _, o := range d.Origins {
		if o.Digest == "" {
			continue
		}
		for licence := range strings.SplitSeq(o.Licence, AllLicences) {
			switch {
			case licence == "" || licence == UnknownLicence:
				ok = false
			case !seen[licence]:
				seen[licence] = true
				licences = append(licences, licence)
			}
		}
	}
	return licences, ok
}

// LicencesInWords lists the licences for people and for the metadata of files: "" if there are none, and "not known" last if one of
// them is not known.
func (d Description) LicencesInWords() string {
	licences, known := d.Licences()
	if !known {
		licences = append(licences, "not known")
	}
	return strings.Join(licences, ", ")
}
