package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/backbone/store"
	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/fetch"
)

func (p *program) modelsPullCommand() *cobra.Command {
	var (
		from, to string
		asJSON   bool
	)
	c := &cobra.Command{
		Use:   "pull NAME[:SET]...",
		Short: "Download published weights",
		Long: `Download published weights, verify them and keep them in the weight store. NAME is a
backbone and SET one of its weight sets ("tlpipe models show NAME"; default: the
first). An interrupted download is resumed.

NAME may also be a text encoder ("tlpipe models list --encoders"), or the repository
OWNER/NAME of one on the Hugging Face hub. Its files (configuration, weights, tokenizer,
pooling) are put into the folder models/NAME, or that given with --to, which is what
pipelines call the encoder by.

The store is the folder $TLPIPE_WEIGHTS, or weights in the cache's folder
($TLPIPE_CACHE, or tlpipe in the user's cache folder). Weights on the Hugging
Face hub are fetched from $HF_ENDPOINT if that is set, with $HF_TOKEN.

Without network access, download the file that the error names on another
machine, and pass it with --from.`,
		Example: `  tlpipe models pull resnet50
  tlpipe models pull resnet50:imagenet_v2 mobilenet_v2
  tlpipe models pull vgg16 --from vgg16-397923af.pth
  tlpipe models pull all-MiniLM-L6-v2
  tlpipe models pull intfloat/e5-base-v2 --to models/e5`,
		Args: atLeastOne("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if from != "" && len(args) > 1 {
				return usage("--from gives one file: name exactly one backbone")
			}
			if to != "" && len(args) > 1 {
				return usage("--to gives one folder: name exactly one text encoder")
			}
			for _, name := range args {
				if repository, ok := findRepository(name); ok {
					if from != "" {
						return usage("--from is for backbones: the folder of a text encoder is its name in pipelines")
					}
					if err := p.pullEncoder(c.Context(), repository, to, asJSON); err != nil {
						return err
					}
					continue
				}
				if to != "" {
					return usage("--to is for text encoders: weights of %s are kept in the store", name)
				}
				if err := p.pull(c.Context(), name, from, asJSON); err != nil {
					return err
				}
			}
			return nil
		},
		ValidArgsFunction: completeBackbones,
	}
	c.Flags().StringVar(&from, "from", "", "take the weights from a local `file` instead of downloading them")
	c.Flags().StringVar(&to, "to", "", "put the files of a text encoder into this `folder` (default: models/NAME)")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per line")
	return c
}

// pulled is a line that `models pull --json` prints.
type pulled struct {
	Backbone string `json:"backbone"`
	Weights  string `json:"weights"`
	URL      string `json:"url"`
	SHA256   string `json:"sha256"`
	Bytes    int64  `json:"bytes"`
	File     string `json:"file"`
}

// pull brings the weights that name stands for into the store: from a file, or from their home if
// from is "".
func (p *program) pull(ctx context.Context, name, from string, asJSON bool) error {
	b, set, err := findSet(name)
	if err != nil {
		return err
	}
	if set.URL == "" {
		_, err := fmt.Fprintf(p.out, "%s is built in: nothing to download\n", name)
		return err
	}
	there, err := store.Default()
	if err != nil {
		return usage("%w", err)
	}
	var file store.File
	if from != "" {
		if err := readable(b, from); err != nil {
			return err
		}
		file, err = there.Import(ctx, from, set.Source())
		if mismatch := new(digest.MismatchError); errors.As(err, &mismatch) {
			err = fmt.Errorf("%s is not what %s publishes for %s: %w", from, set.URL, name, mismatch)
		}
	} else {
		file, err = p.fetch(ctx, there, name, set)
		if err == nil {
			err = readable(b, file.Path)
		}
	}
	if err != nil {
		return err
	}
	if asJSON {
		return p.out.JSON().Encode(pulled{b.Name, set.Name, set.URL, file.SHA256, file.Bytes, file.Path})
	}
	_, err = fmt.Fprintf(p.out, "%s: %s, SHA-256 %s, %s\n", name, console.Bytes(file.Bytes), file.SHA256, file.Path)
	return err
}

// fetch fetches a weight set's file, telling people how it goes on.
func (p *program) fetch(ctx context.Context, there *store.Store, name string, set backbone.WeightSet) (store.File, error) {
	file, err := p.fetchSource(ctx, there, fetch.New(fetch.HubFromEnvironment()), name, set.Source())
	if failed, local := new(fetch.Error), new(fs.PathError); errors.As(err, &failed) && !errors.As(err, &local) {
		err = fmt.Errorf("%w\nWithout network access, download %s on another machine, then run: tlpipe models pull %s --from %s",
			err, set.URL, name, path.Base(set.URL))
	}
	return file, err
}

// fetchSource fetches a file, telling people how it goes on.
func (p *program) fetchSource(ctx context.Context, there *store.Store, client *fetch.Client, name string, source store.Source) (store.File, error) {
	transfer := console.NewTransfer(p.err.File, name)
	defer transfer.Close()
	return there.Fetch(ctx, client, source, store.Watch{
		Waiting:  func() { transfer.Say("waiting for another process that is downloading it") },
		Progress: transfer.Show,
		Retry: func(why error, wait time.Duration) {
			transfer.Say("%v; trying again in %s", why, wait.Round(100*time.Millisecond))
		},
	})
}

// readable tells why a file's tensors are not the weights of the whole backbone.
func readable(b backbone.Backbone, file string) error {
	size := b.Preprocessing()
	net, err := b.Network(size.Height, size.Width)
	if err == nil {
		_, err = b.LoadFile(file, net)
	}
	return err
}

// findSet finds a backbone's weights by NAME or NAME:SET.
func findSet(name string) (backbone.Backbone, backbone.WeightSet, error) {
	b, set, err := backbone.FindSet(name)
	if err != nil {
		return b, set, usage("%w", err)
	}
	if set.Name == "" {
		return b, set, usage("%s has no weights", name)
	}
	return b, set, nil
}

func (p *program) modelsFilesCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "files",
		Short: "List downloaded weights",
		Long: `List the weights that were pulled, or downloaded from an address that a pipeline
names.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			there, err := store.Default()
			if err != nil {
				return usage("%w", err)
			}
			files, err := there.List()
			if err != nil {
				return err
			}
			if asJSON {
				return p.out.JSON().Encode(append([]store.File{}, files...))
			}
			fmt.Fprintln(p.out, there.Dir())
			if len(files) == 0 {
				_, err := fmt.Fprintln(p.out, "nothing is kept there")
				return err
			}
			table := console.NewTable("SHA-256", ">SIZE", "FETCHED", "FROM")
			for _, f := range files {
				table.Row(f.SHA256[:12], console.Bytes(f.Bytes), f.Added.Local().Format("2006-01-02 15:04"), strings.Join(f.Sources, ", "))
			}
			return table.Write(p.out, "")
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// fewestDigits is how many digits of a digest a file can be named by.
const fewestDigits = 6

func (p *program) modelsRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME[:SET]|SHA256...",
		Short: "Remove downloaded weights",
		Long: `Remove weights from the store: those of a backbone's weight set, or one file by the
first digits of its SHA-256 ("tlpipe models files").`,
		Args: atLeastOne("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			there, err := store.Default()
			if err != nil {
				return usage("%w", err)
			}
			for _, name := range args {
				file, err := findFile(there, name)
				if err != nil {
					return err
				}
				if err := there.Remove(file); err != nil {
					return err
				}
				if _, err := fmt.Fprintf(p.out, "removed %s, %s\n", file.SHA256, console.Bytes(file.Bytes)); err != nil {
					return err
				}
			}
			return nil
		},
		ValidArgsFunction: completeBackbones,
	}
}

// findFile finds a file in the store by NAME, NAME:SET or the first digits of its SHA-256.
func findFile(there *store.Store, name string) (store.File, error) {
	if len(name) >= fewestDigits && strings.Trim(name, "0123456789abcdef") == "" {
		files, err := there.List()
		if err != nil {
			return store.File{}, err
		}
		var found []store.File
		for _, f := range files {
			if strings.HasPrefix(f.SHA256, name) {
				found = append(found, f)
			}
		}
		if len(found) != 1 {
			return store.File{}, usage("%d files of weights have a SHA-256 that begins with %s (`tlpipe models files`)", len(found), name)
		}
		return found[0], nil
	}
	_, set, err := findSet(name)
	if err != nil {
		return store.File{}, err
	}
	if set.URL == "" {
		return store.File{}, usage("%s is built in and cannot be removed", name)
	}
	file, ok := there.Find(set.Source())
	if !ok {
		return store.File{}, usage("the weights of %s are not in the store (`tlpipe models files`)", name)
	}
	return file, nil
}

// atLeastOne takes one argument or more, of the name that the command's usage gives them.
func atLeastOne(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s is missing: %s", name, c.UseLine())
		}
		return nil
	}
}
