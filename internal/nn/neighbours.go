package nn

import "fmt"

// Neighbours lets the K stored rows that are nearest to a vector, by Euclidean distance, vote on its class
// (Fix and Hodges 1951; Cover and Hart 1967): it puts out each class's share of the votes, [Classes]. Of
// rows at one distance the first stored comes first. After an [L2Normalise], of rows normalised too, the
// nearest by Euclidean distance are the nearest by cosine.
//
// The parameters are the rows, [Rows, features], and their labels, [Rows], whole numbers from 0 to
// Classes−1. They are stored, not trained.
type Neighbours struct {
	K        int  `json:"k"`
	Rows     int  `json:"rows"`
	Classes  int  `json:"classes"`
	Weighted bool `json:"weighted,omitzero"` // votes weigh 1/distance; rows at distance 0, if any, vote alone
}

// Kind implements [Op].
func (Neighbours) Kind() string { return "neighbours" }

func (op Neighbours) on(inputs []Shape) (facts, error) {
	in, err := one(inputs)
	if err != nil {
		return facts{}, err
	}
	if len(in) != 1 {
		return facts{}, fmt.Errorf("input of shape %v: must be a vector", in)
	}
	if op.K < 1 || op.K > op.Rows {
		return facts{}, fmt.Errorf("%d neighbours of %d rows: must be at least 1 and no more than there are rows", op.K, op.Rows)
	}
	return facts{
		output: Shape{op.Classes},
		parameters: []Parameter{
			{Role: Rows, Shape: Shape{op.Rows, in[0]}},
			{Role: Labels, Shape: Shape{op.Rows}},
		},
		multiplyAdds: int64(op.Rows) * int64(in[0]),
	}, nil
}
