package textinput

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
)

// CheckTokens refuses texts that were not cut into the tokens that an encoder takes, as the text under [record.TokensKey] tells; "" if
// they were not cut. folder is how the user names the encoder's.
func CheckTokens(tokens string, e *encoder.Encoder, folder string) (record.Tokenisation, error) {
	say := fmt.Sprintf("set `for: %s` in the stage of kind text", folder)
	if tokens == "" {
		return record.Tokenisation{}, fmt.Errorf("the texts have not been cut into tokens: %s", say)
	}
	made, err := record.ParseTokenisation(tokens)
	if err != nil {
		return made, err
	}
	if made.Words() {
		return made, fmt.Errorf("the texts were cut into words, not into the tokens of %s: %s", e.Name, say)
	}
	own, err := tokenizer.Digest(e.Folder())
	switch most := e.Sizes.MostTokens(); {
	case err == nil && own != made.Digest:
		return made, fmt.Errorf("the texts were cut into tokens by the tokenizer of %s, which is not that of %s: %s", made.For, e.Name, say)
	case made.Ids > e.Sizes.Words:
		return made, fmt.Errorf("the tokenizer of %s has %d tokens, but the weights in %s are for %d: the tokenizer does not belong to the weights", made.For, made.Ids, e.Name, e.Sizes.Words)
	case made.Length > most:
		return made, fmt.Errorf("the texts have up to %d tokens, but %s takes %d at most: set `length` in the stage of kind text", made.Length, e.Name, most)
	}
	return made, nil
}
