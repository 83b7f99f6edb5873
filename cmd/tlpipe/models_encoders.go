package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/backbone/store"
	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/fetch"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// isEncoderFolder tells whether an argument names the folder of a text encoder: a path to a folder with a configuration.
func isEncoderFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir() && (strings.ContainsAny(name, `/\`) || hasConfiguration(name))
}

func hasConfiguration(folder string) bool {
	for _, name := range []string{"config.json", "open_clip_config.json"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err == nil {
			return true
		}
	}
	return false
}

// listedEncoder is an encoder in the list.
type listedEncoder struct {
	encoder.Description
	Layers     *struct{} `json:"layers,omitempty"` // `models show` has them
	Repository string    `json:"repository,omitempty"`
	Licence    string    `json:"licence,omitempty"`
	About      string    `json:"about,omitempty"`
}

// publishedEncoders are those that have a name of their own.
func publishedEncoders() (all []listedEncoder, err error) {
	for _, p := range encoder.AllPublished() {
		d, err := p.Describe()
		if err != nil {
			return nil, err
		}
		all = append(all, listedEncoder{Description: d, Repository: p.Repository, Licence: p.Licence, About: p.About})
	}
	return all, nil
}

// listEncoders lists the encoders of these names or in these folders, or all that have a name.
func (p *program) listEncoders(names []string, asJSON bool) error {
	all, err := publishedEncoders()
	if err != nil {
		return err
	}
	if len(names) > 0 {
		known := all
		all = nil
		for _, name := range names {
			if isEncoderFolder(name) {
				d, err := encoder.Describe(name)
				if err != nil {
					return usage("%w", err)
				}
				all = append(all, listedEncoder{Description: d})
				continue
			}
			at := slices.IndexFunc(known, func(e listedEncoder) bool {
				return strings.EqualFold(e.Name, name) || strings.EqualFold(e.Repository, name)
			})
			if at < 0 {
				return unknownEncoder(name)
			}
			all = append(all, known[at])
		}
	}
	if asJSON {
		return p.out.JSON().Encode(all)
	}
	return p.printEncoders(all)
}

func unknownEncoder(name string) error {
	var known []string
	for _, p := range encoder.AllPublished() {
		known = append(known, p.Name)
	}
	return usage("there is no text encoder %q, and no folder of one (%s)", name, params.DidYouMean(name, known))
}

// findEncoder describes the text encoder in a folder, or one that is known by its name, of which about tells more; found is false if
// the name is neither.
func findEncoder(name string) (d encoder.Description, about *encoder.Published, found bool, err error) {
	if isEncoderFolder(name) {
		if d, err = encoder.Describe(name); err != nil {
			err = usage("%w", err)
		}
		return d, nil, true, err
	}
	p, known := encoder.FindPublished(name)
	if !known {
		return d, nil, false, nil
	}
	d, err = p.Describe()
	return d, &p, true, err
}

// printEncoders prints the table of text encoders.
func (p *program) printEncoders(all []listedEncoder) error {
	table := console.NewTable("TEXT ENCODER", "FAMILY", ">FEATURES", ">BLOCKS", ">TOKENS", ">PARAMETERS", ">GMAC", "POOLING", "LICENCE", "FOR").Fit(p.out.File)
	for _, e := range all {
		table.Row(e.Name, e.Family, console.Count(int64(e.Features)), fmt.Sprint(e.Blocks), fmt.Sprint(e.Positions), console.Count(e.Parameters),
			fmt.Sprintf("%.2f", float64(e.MultiplyAdds)/1e9), e.Pooling, e.Licence, e.About)
	}
	return table.Write(p.out, "")
}

// printEncoder describes one text encoder.
func (p *program) printEncoder(d encoder.Description, about *encoder.Published) error {
	fmt.Fprintf(p.out, "%s: text encoder, %s\n\n", d.Name, strings.ToUpper(d.Family))
	table := console.NewTable("", "").Fit(p.out.File)
	if about != nil {
		table.Row("for", about.About)
		table.Row("licence", about.Licence)
		table.Row("from", fetch.HubHome+"/"+about.Repository)
	}
	table.Row("input", fmt.Sprintf("up to %s of %s", console.Of(int64(d.Positions), "token"), console.Count(int64(d.Tokens))))
	table.Row("features", console.Count(int64(d.Features)))
	table.Row("blocks", fmt.Sprintf("%d of %d, %d heads, %d within", d.Blocks, d.Width, d.Heads, d.Wide))
	pooling := d.Pooling
	if pooling == "" {
		pooling = "not said: set pooling, such as mean or cls"
	}
	table.Row("pooling", pooling)
	table.Row("parameters", console.Count(d.Parameters))
	table.Row("multiply-adds", fmt.Sprintf("%s for a text of %s", console.Count(d.MultiplyAdds), console.Of(int64(min(encoder.DescribedTokens, d.Positions)), "token")))
	if d.Weights != "" {
		table.Row("weights", d.Weights+", "+console.Bytes(d.Bytes))
		table.Row("SHA-256", d.SHA256)
	}
	table.Row("layers", strings.Join(d.Layers, ", "))
	for _, note := range d.Notes {
		table.Row("note", note)
	}
	return table.WriteBody(p.out, "")
}

// repositoryName is that of a repository of the hub.
var repositoryName = regexp.MustCompile(`^[\w-][\w.-]*/[\w-][\w.-]*$`)

// findRepository returns the repository of the hub that a name stands for: of an encoder that is known by its name, or OWNER/NAME.
func findRepository(name string) (repository string, ok bool) {
	if p, ok := encoder.FindPublished(name); ok {
		return p.Repository, true
	}
	return name, repositoryName.MatchString(name) && !strings.HasPrefix(name, "timm/")
}

// pulledEncoder is a line that `models pull --json` prints of an encoder.
type pulledEncoder struct {
	Encoder    string `json:"encoder"`
	Repository string `json:"repository"`
	Folder     string `json:"folder"`
	SHA256     string `json:"sha256"` // of the weights
	Bytes      int64  `json:"bytes"`
}

// pullEncoder downloads an encoder's files into a folder of their own, by way of the store, and checks that they go together.
func (p *program) pullEncoder(ctx context.Context, repository, to string, asJSON bool) error {
	name := repository[strings.IndexByte(repository, '/')+1:]
	if to == "" {
		to = filepath.Join("models", name)
	}
	there, err := store.Default()
	if err != nil {
		return usage("%w", err)
	}
	f := encoderFiles{program: p, store: there, client: fetch.New(fetch.HubFromEnvironment()), repository: repository, folder: to}
	for _, file := range encoder.Files() {
		if err := f.get(ctx, file); err != nil {
			return err
		}
	}
	d, err := encoder.Describe(to)
	if err == nil {
		err = checkEncoder(to)
	}
	if err != nil {
		return fmt.Errorf("%s was downloaded into %s and cannot be used: %w", repository, to, err)
	}
	if asJSON {
		return p.out.JSON().Encode(pulledEncoder{name, repository, to, d.SHA256, d.Bytes})
	}
	_, err = fmt.Fprintf(p.out, "%s: %s, SHA-256 %s, %s\n", repository, console.Bytes(d.Bytes), d.SHA256, to)
	return err
}

// checkEncoder tells why the files of a folder do not go together.
func checkEncoder(folder string) error {
	e, err := encoder.Open(folder, "mean") // any: weights do not depend on it
	if err != nil {
		return err
	}
	net, err := e.Network(encoder.Pooled)
	if err != nil {
		return err
	}
	if err := e.CheckWeights(net); err != nil {
		return err
	}
	_, err = tokenizer.Read(folder)
	return err
}

// encoderFiles is an encoder on its way.
type encoderFiles struct {
	program            *program
	store              *store.Store
	client             *fetch.Client
	repository, folder string
}

// get brings a file, or one that does in its place, and what an index of weights names.
func (f *encoderFiles) get(ctx context.Context, file encoder.File) error {
	var first error
	for _, path := range append([]string{file.Path}, file.Instead...) {
		err := f.fetch(ctx, path)
		if err == nil && strings.HasSuffix(path, ".index.json") {
			err = f.shards(ctx, path)
		}
		if status := new(fetch.StatusError); err == nil || !errors.As(err, &status) || status.Code != http.StatusNotFound {
			return err
		}
		if first == nil {
			first = err
		}
	}
	if file.Optional {
		return nil
	}
	return first
}

// shards brings the files that an index names.
func (f *encoderFiles) shards(ctx context.Context, index string) error {
	text, err := budget.ReadFile(filepath.Join(f.folder, index), 64<<20)
	if err != nil {
		return err
	}
	names, err := encoder.Shards(text)
	for i := 0; i < len(names) && err == nil; i++ {
		err = f.fetch(ctx, names[i])
	}
	return err
}

// fetch brings one file into the folder.
func (f *encoderFiles) fetch(ctx context.Context, path string) error {
	url := fetch.HubHome + "/" + f.repository + "/resolve/main/" + path
	stored, err := f.program.fetchSource(ctx, f.store, f.client, f.repository+" "+path, store.Source{URL: url})
	if failed, local, status := new(fetch.Error), new(fs.PathError), new(fetch.StatusError); errors.As(err, &failed) && !errors.As(err, &local) && !errors.As(err, &status) {
		err = fmt.Errorf("%w\nWithout network access, download the files of %s/%s on another machine into a folder: its path is the encoder's name", err, fetch.HubHome, f.repository)
	}
	if err != nil {
		return err
	}
	to := filepath.Join(f.folder, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	return copyFile(to, stored.Path)
}

// copyFile makes a file that has the content of another, by a link where that can be.
func copyFile(to, from string) (err error) {
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
