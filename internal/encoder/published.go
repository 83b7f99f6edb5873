package encoder

import "strings"

// Published is an encoder on the Hugging Face hub.
type Published struct {
	Name       string // as people call it: the last part of the repository
	Repository string
	Licence    string // SPDX
	About      string

	sizes   Sizes
	pooling string
}

// AllPublished lists encoders that many people use, in the order of listings. Any other of a family that is known here can be had
// by its repository.
func AllPublished() []Published {
	bert := func(words, width, blocks, heads int) Sizes {
		return Sizes{Family: "bert", Words: words, Width: width, Blocks: blocks, Heads: heads, Wide: 4 * width, Places: 512, Types: 2, Epsilon: 1e-12}
	}
	distilled := bert(30522, 768, 6, 12)
	distilled.Family, distilled.Types = "distilbert", 0
	roberta := Sizes{Family: "roberta", Words: 50265, Width: 768, Blocks: 12, Heads: 12, Wide: 3072, Places: 514, First: 2, Types: 1, Epsilon: 1e-5}
	many := roberta
	many.Words = 250002
	clip := Sizes{
		Family: familyCLIP, Words: 49408, Width: 512, Blocks: 12, Heads: 8, Wide: 2048, Places: 77, Epsilon: 1e-5,
		Tower: Tower{Causal: true, Projection: 512, End: 49407},
	}
	siglip := Sizes{
		Family: familySigLIP, Words: 32000, Width: 768, Blocks: 12, Heads: 12, Wide: 3072, Places: 64, Epsilon: 1e-6,
		Tower: Tower{Projection: 768, Bias: true, Padded: true, Padding: 1},
	}
	return []Published{
		published("sentence-transformers/all-MiniLM-L6-v2", "Apache-2.0", "sentences, English; small and quick", bert(30522, 384, 6, 12), "mean, normalised"),
		published("sentence-transformers/all-MiniLM-L12-v2", "Apache-2.0", "sentences, English", bert(30522, 384, 12, 12), "mean, normalised"),
		published("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", "Apache-2.0", "sentences, 50 languages", bert(250037, 384, 12, 12), "mean"),
		published("BAAI/bge-small-en-v1.5", "MIT", "retrieval, English", bert(30522, 384, 12, 12), "first, normalised"),
		published("intfloat/e5-small-v2", "MIT", "retrieval, English; texts begin with \"query: \" or \"passage: \"", bert(30522, 384, 12, 12), "mean, normalised"),
		published("google-bert/bert-base-uncased", "Apache-2.0", "to be fine-tuned, English", bert(30522, 768, 12, 12), ""),
		published("google-bert/bert-base-multilingual-cased", "Apache-2.0", "to be fine-tuned, 104 languages", bert(119547, 768, 12, 12), ""),
		published("distilbert/distilbert-base-uncased", "Apache-2.0", "to be fine-tuned, English; half of BERT", distilled, ""),
		published("FacebookAI/roberta-base", "MIT", "to be fine-tuned, English", roberta, ""),
		published("FacebookAI/xlm-roberta-base", "MIT", "to be fine-tuned, 100 languages", many, ""),
		published("openai/clip-vit-base-patch32", "MIT", "the text tower beside the backbone clip_b32", clip, "last"),
		published("google/siglip-base-patch16-224", "Apache-2.0", "the text tower beside the backbone siglip_b16", siglip, "last"),
	}
}

func published(repository, licence, about string, sizes Sizes, pooling string) Published {
	return Published{repository[strings.LastIndexByte(repository, '/')+1:], repository, licence, about, sizes, pooling}
}

// FindPublished returns the encoder of that name or repository.
func FindPublished(name string) (Published, bool) {
	for _, p := range AllPublished() {
		if strings.EqualFold(name, p.Name) || strings.EqualFold(name, p.Repository) {
			return p, true
		}
	}
	return Published{}, false
}

// Describe tells what is known of the encoder without its files.
func (p Published) Describe() (Description, error) {
	e := &Encoder{Name: p.Name, Sizes: p.sizes, pooling: pooling{Function: "mean"}}
	d, err := e.describe()
	d.Pooling = p.pooling
	return d, err
}
