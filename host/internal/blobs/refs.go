package blobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/syncbase/syncbase/host/internal/chunk"
)

// MaxRefs bounds how many references of one value count.
const MaxRefs = 1000

// member is how the only member of a reference object is spelled.
const member = "$blob"

var quotedMember = []byte(`"` + member + `"`)

// Refs returns the different references in a value, in the order in which they first occur: the objects
// {"$blob": "<reference>"} with exactly that one member, at any depth. A value that is no JSON has none.
func Refs(value []byte) []chunk.Ref {
	if !bytes.Contains(value, quotedMember) {
		return nil
	}
	var w refWalker
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil
		}
		w.token(token, d.InputOffset(), value)
	}
	if w.values != 1 || len(w.open) > 0 {
		return nil
	}
	return w.refs
}

// refWalker follows the tokens of a JSON text.
type refWalker struct {
	open []frame
	// values counts the values outside any object or array; a JSON text has one.
	values int
	refs   []chunk.Ref
	seen   map[chunk.Ref]bool
}

// frame is an object or array whose end has not come.
type frame struct {
	object bool
	// tokens counts the keys and values so far.
	tokens int
	// marked tells that the first key is the member of a reference object.
	marked bool
	// ref is the reference that follows such a key, and valid whether it is one.
	ref   chunk.Ref
	valid bool
}

// token takes the next token, which ends at the offset of the text.
func (w *refWalker) token(token json.Token, end int64, text []byte) {
	if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
		w.close()
		return
	}
	if len(w.open) == 0 {
		w.values++
	} else {
		w.open[len(w.open)-1].take(token, text[:end])
	}
	if delim, ok := token.(json.Delim); ok {
		w.open = append(w.open, frame{object: delim == '{'})
	}
}

// take notes a key or value; text ends with it.
func (f *frame) take(token json.Token, text []byte) {
	f.tokens++
	word, isString := token.(string)
	switch {
	case !f.object || !isString:
	case f.tokens == 1:
		f.marked = word == member && bytes.HasSuffix(text, quotedMember)
	case f.tokens == 2 && f.marked:
		ref, err := chunk.ParseRef(word)
		f.ref, f.valid = ref, err == nil
	}
}

func (w *refWalker) close() {
	f := w.open[len(w.open)-1]
	w.open = w.open[:len(w.open)-1]
	if f.tokens != 2 || !f.valid || w.seen[f.ref] || len(w.refs) == MaxRefs {
		return
	}
	if w.seen == nil {
		w.seen = make(map[chunk.Ref]bool)
	}
	w.seen[f.ref] = true
	w.refs = append(w.refs, f.ref)
}
