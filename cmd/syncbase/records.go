package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/syncbase/syncbase/internal/strictjson"
	"github.com/syncbase/syncbase/sdk/client"
)

// record is a row to import.
type record struct {
	key   string
	value client.Value
	line  int
}

// records reads rows until io.EOF.
type records interface {
	next() (record, error)
}

// plainText undoes gzip where the input begins like it, and passes over a mark that says that UTF-8 follows.
func plainText(in io.Reader) (io.Reader, error) {
	plain, err := uncompressed(in)
	if err != nil {
		return nil, err
	}
	mark, err := plain.Peek(3)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case bytes.Equal(mark, []byte("\xef\xbb\xbf")):
		_, err = plain.Discard(len(mark))
		return plain, err
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")):
		return nil, errors.New("the text is UTF-16; import takes UTF-8, to which iconv -f UTF-16 -t UTF-8 converts it")
	}
	return plain, nil
}

// uncompressed undoes gzip where the input begins like it.
func uncompressed(in io.Reader) (*bufio.Reader, error) {
	buffered := bufio.NewReaderSize(in, 256<<10)
	magic, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return buffered, nil
	}
	zip, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, unzipped(err)
	}
	return bufio.NewReaderSize(unzipping{zip}, 256<<10), nil
}

// unzipping says what is wrong in words that fit the file, not the reader.
type unzipping struct{ zip *gzip.Reader }

func (u unzipping) Read(p []byte) (int, error) {
	n, err := u.zip.Read(p)
	return n, unzipped(err)
}

func unzipped(err error) error {
	var damage flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the compressed file is cut short")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.As(err, &damage):
		return fmt.Errorf("the compressed file is damaged: %w", err)
	}
	return err
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
			// The rest of an input that could not be read to its end may look like a line.
			if !j.lines.Scan() && j.lines.Err() != nil {
				err = j.lines.Err()
			}
			return r, fmt.Errorf("line %d: %w", j.n, err)
		}
		r.line = j.n
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
	var o keyed
	if err := strictjson.Decode(text, &o); err != nil {
		if members := map[string]json.RawMessage{}; json.Unmarshal(text, &members) == nil && members["key"] == nil {
			return record{}, errNoKey
		}
		return record{}, err
	}
	switch {
	case o.Key == nil:
		return record{}, errNoKey
	case given(o.Value != nil, o.Base64 != nil) > 1:
		return record{}, fmt.Errorf(`"value" and "base64" beside the key %q cannot go together`, *o.Key)
	case o.Value == nil && o.Base64 == nil:
		return record{}, fmt.Errorf(`no "value" beside the key %q`, *o.Key)
	}
	if o.Base64 != nil {
		return record{key: *o.Key, value: client.Value{Bytes: o.Base64, Raw: true, Type: o.Type}}, nil
	}
	return record{key: *o.Key, value: client.Value{Bytes: o.Value, Type: o.Type}}, nil
}

// keyed is a line without --key.
type keyed struct {
	Key    *string         `json:"key"`
	Value  json.RawMessage `json:"value"`
	Base64 []byte          `json:"base64"`
	Type   string          `json:"type"`
}

var errNoKey = errors.New(`no "key"; say with --key which field holds the key`)

// whole takes the key out of a field; the value is the object as it is.
func (j *jsonRecords) whole(text []byte) (record, error) {
	var fields map[string]json.RawMessage
	if err := strictjson.Decode(text, &fields); err != nil {
		return record{}, err
	}
	field, found := fields[j.key]
	if !found {
		return record{}, fmt.Errorf("no field %q", j.key)
	}
	if half := strictjson.HalfCharacter(field); half != "" {
		return record{}, fmt.Errorf("%q: %s is half a character, which a text cannot have", j.key, half)
	}
	var key string
	if json.Unmarshal(field, &key) != nil {
		key = string(field) // a number, as it is written
	}
	return record{key: key, value: client.Value{Bytes: text}}, nil
}

// csvRecords reads a table whose first line names the columns.
type csvRecords struct {
	in      *csv.Reader
	columns [][]byte
	key     int
	// line is that of the latest row.
	line int
}

func newCSVRecords(in io.Reader, key string) (records, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty; its first line has the names of the columns")
	}
	if err != nil {
		return nil, fmt.Errorf("names of the columns: %w", err)
	}
	c := &csvRecords{in: r, key: -1}
	for i, name := range header {
		if !utf8.ValidString(name) {
			return nil, fmt.Errorf("line 1: the name of column %d, %q, is not UTF-8", i+1, name)
		}
		if first := slices.Index(header[:i], name); first >= 0 {
			return nil, fmt.Errorf("line 1: columns %d and %d have the same name, %q", first+1, i+1, name)
		}
		if name == key || key == "" && i == 0 {
			c.key = i
		}
		c.columns = append(c.columns, quote(name))
	}
	if c.key < 0 {
		return nil, fmt.Errorf("line 1: no column %q", key)
	}
	return c, nil
}

// next makes an object of a line, with the columns in their order and texts for values.
func (c *csvRecords) next() (record, error) {
	cells, err := c.in.Read()
	if err != nil {
		return record{}, c.at(err)
	}
	c.line, _ = c.in.FieldPos(0)
	object := []byte{'{'}
	for i, cell := range cells {
		if !utf8.ValidString(cell) {
			line, _ := c.in.FieldPos(i)
			return record{}, fmt.Errorf("line %d: column %s is not UTF-8: %q", line, c.columns[i], cell)
		}
		if i > 0 {
			object = append(object, ',')
		}
		object = append(object, c.columns[i]...)
		object = append(object, ':')
		object = append(object, quote(cell)...)
	}
	return record{key: cells[c.key], value: client.Value{Bytes: append(object, '}')}, line: c.line}, nil
}

// at adds the place to an error of reading; those of parsing have it.
func (c *csvRecords) at(err error) error {
	var parsing *csv.ParseError
	if errors.Is(err, io.EOF) || errors.As(err, &parsing) {
		return err
	}
	return fmt.Errorf("after line %d: %w", c.line, err)
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
