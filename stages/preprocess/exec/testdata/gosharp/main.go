// Command gosharp tells how sharp each picture is, as sharpness.py does.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

func main() {
	parameters := struct{ Weight float64 }{1}
	if err := json.Unmarshal([]byte(os.Getenv("TLPIPE_PARAMETERS")), &parameters); err != nil {
		log.Fatal(err)
	}
	questions := bufio.NewReader(os.Stdin) // one reader for all questions
	for {
		if _, err := questions.Peek(1); errors.Is(err, io.EOF) {
			return
		}
		if err := answer(questions, parameters.Weight); err != nil {
			log.Fatal(err)
		}
	}
}

func answer(questions io.Reader, weight float64) error {
	question, err := ipc.NewReader(questions)
	if err != nil {
		return err
	}
	defer question.Release()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "sharpness", Type: arrow.PrimitiveTypes.Float32},
		{Name: "tlpipe.reject", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	out := bufio.NewWriter(os.Stdout)
	answers := ipc.NewWriter(out, ipc.WithSchema(schema))
	rows := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for question.Next() {
		images := question.Record().Column(0).(*array.FixedSizeList)
		pixels := images.ListValues().(*array.Uint8).Uint8Values()
		for row := range images.Len() {
			from, to := images.ValueOffsets(row)
			value := sharpness(pixels[from:to], weight)
			rows.Field(0).(*array.Float32Builder).Append(float32(value))
			if value > 0 {
				rows.Field(1).AppendNull()
			} else {
				rows.Field(1).(*array.StringBuilder).Append("it is of one colour")
			}
		}
		rec := rows.NewRecord()
		if err := answers.Write(rec); err != nil {
			return err
		}
		rec.Release()
	}
	return errors.Join(question.Err(), answers.Close(), out.Flush())
}

func sharpness(pixels []uint8, weight float64) float64 {
	sum := 0.0
	for i := 3; i < len(pixels); i++ {
		d := (float64(pixels[i]) - float64(pixels[i-3])) * weight
		sum += d * d
	}
	return sum / max(float64(len(pixels)-3), 1)
}
