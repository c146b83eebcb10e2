package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/syncbase/syncbase/sdk/client"
)

// record is a row to import.
type record struct {
	key   string
	value client.Value
}

// records reads rows until io.EOF.
type records interface {
	next() (record, error)
}

// uncompressed undoes gzip where the input begins like it.
func uncompressed(in io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(in, 256<<10)
	magic, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return buffered, nil
	}
	return gzip.NewReader(buffered)
}

// newRecords reads the format; key is the field or column that holds the key, if it was said.
func newRecords(format string, in io.Reader, key string) (records, error) {
	switch format {
	case "jsonl":
		lines := bufio.NewScanner(in)
		lines.Buffer(make([]byte, 256<<10), maxLineBytes)
		return &jsonRecords{lines: lines, key: key}, nil
	case "csv":
		return newCSVRecords(in, key)
	}
	return nil, usagef("format %q: want jsonl or csv", format)
}

// jsonRecords reads an object a line.
type jsonRecords struct {
	lines *bufio.Scanner
	key   string
	n     int
}

func (j *jsonRecords) next() (record, error) {
	for j.lines.Scan() {
		j.n++
		text := bytes.TrimSpace(j.lines.Bytes())
		if len(text) == 0 {
			continue
		}
		r, err := j.parse(bytes.Clone(text))
		if err != nil {
			return r, fmt.Errorf("line %d: %w", j.n, err)
		}
		return r, nil
	}
	if err := j.lines.Err(); err != nil {
		return record{}, fmt.Errorf("line %d: %w", j.n+1, err)
	}
	return record{}, io.EOF
}

func (j *jsonRecords) parse(text []byte) (record, error) {
	if j.key != "" {
		return j.whole(text)
	}
	var o struct {
		Key    *string         `json:"key"`
		Value  json.RawMessage `json:"value"`
		Base64 []byte          `json:"base64"`
		Type   string          `json:"type"`
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return record{}, plainJSON(err)
	}
	switch {
	case o.Key == nil:
		return record{}, errors.New(`no "key"; say with --key which field holds the key`)
	case o.Base64 != nil:
		return record{*o.Key, client.Value{Bytes: o.Base64, Raw: true, Type: o.Type}}, nil
	case o.Value == nil:
		return record{}, fmt.Errorf(`no "value" beside the key %q`, *o.Key)
	}
	return record{*o.Key, client.Value{Bytes: o.Value, Type: o.Type}}, nil
}

// whole takes the key out of a field; the value is the object as it is.
func (j *jsonRecords) whole(text []byte) (record, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return record{}, plainJSON(err)
	}
	field, found := fields[j.key]
	if !found {
		return record{}, fmt.Errorf("no field %q", j.key)
	}
	var key string
	if json.Unmarshal(field, &key) != nil {
		key = string(field) // a number, as it is written
	}
	return record{key, client.Value{Bytes: text}}, nil
}

// csvRecords reads a table whose first line names the columns.
type csvRecords struct {
	in      *csv.Reader
	columns [][]byte
	key     int
}

func newCSVRecords(in io.Reader, key string) (records, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("names of the columns: %w", err)
	}
	c := &csvRecords{in: r, key: -1}
	for i, name := range header {
		if name == key || key == "" && i == 0 {
			c.key = i
		}
		c.columns = append(c.columns, quote(name))
	}
	if c.key < 0 {
		return nil, fmt.Errorf("no column %q", key)
	}
	return c, nil
}

// next makes an object of a line, with the columns in their order and texts for values.
func (c *csvRecords) next() (record, error) {
	cells, err := c.in.Read()
	if err != nil {
		return record{}, err
	}
	object := []byte{'{'}
	for i, cell := range cells {
		if i > 0 {
			object = append(object, ',')
		}
		object = append(object, c.columns[i]...)
		object = append(object, ':')
		object = append(object, quote(cell)...)
	}
	return record{cells[c.key], client.Value{Bytes: append(object, '}')}}, nil
}

// quote writes a text as JSON, leaving <, > and & as they are.
func quote(text string) []byte {
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		plain = text[i] >= ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\'
	}
	if plain {
		return append(append(append(make([]byte, 0, len(text)+2), '"'), text...), '"')
	}
	var b bytes.Buffer
	if err := encoder(&b).Encode(text); err != nil {
		return []byte(`""`)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
