package blobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
	w, ok := walk(value)
	if !ok {
		return nil
	}
	return w.refs
}

// CheckRefs tells what is wrong with the first object in a JSON value that looks like a reference and is none: its only
// member is "$blob", with something else than a reference. For values that are written here; what peers send may hold it,
// and then refers to nothing.
func CheckRefs(value []byte) error {
	w, _ := walk(value)
	return w.fault
}

// walk goes through a value; ok is false when it is no JSON or cannot hold a reference.
func walk(value []byte) (w refWalker, ok bool) {
	if !bytes.Contains(value, quotedMember[1:]) { // which begins with a byte that is rare
		return w, false
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return w, false
		}
		w.token(token, d.InputOffset(), value)
	}
	return w, w.values == 1 && len(w.open) == 0
}

// refWalker follows the tokens of a JSON text.
type refWalker struct {
	open []frame
	// values counts the values outside any object or array; a JSON text has one.
	values int
	refs   []chunk.Ref
	seen   map[chunk.Ref]bool
	// fault is what is wrong with the first object that is no reference although it looks like one.
	fault error
}

// frame is an object or array whose end has not come.
type frame struct {
	object bool
	// tokens counts the keys and values so far.
	tokens int
	// marked tells that the first key is the member of a reference object.
	marked bool
	// ref is the reference that follows such a key, and fault why what follows is none.
	ref   chunk.Ref
	fault error
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
	switch {
	case !f.object:
	case f.tokens == 1:
		f.marked = token == json.Token(member) && bytes.HasSuffix(text, quotedMember)
	case f.tokens == 2 && f.marked:
		f.ref, f.fault = parseRef(token)
	}
}

func parseRef(token json.Token) (chunk.Ref, error) {
	var found string
	switch v := token.(type) {
	case string:
		ref, err := chunk.ParseRef(v)
		if err == nil {
			return ref, nil
		}
		found = fmt.Sprintf("%.80q", v)
	case json.Delim:
		found = map[json.Delim]string{'{': "an object", '[': "a list"}[v]
	case nil:
		found = "null"
	default:
		found = fmt.Sprintf("%.80v", v)
	}
	return chunk.Ref{}, fmt.Errorf("%s holds %s where a blob's reference belongs: \"blob1-\" and %d lower-case hexadecimal digits",
		quotedMember, found, 2*chunk.HashSize)
}

func (w *refWalker) close() {
	f := w.open[len(w.open)-1]
	w.open = w.open[:len(w.open)-1]
	if f.tokens != 2 || !f.marked {
		return
	}
	if f.fault != nil {
		if w.fault == nil {
			w.fault = f.fault
		}
		return
	}
	if w.seen[f.ref] || len(w.refs) == MaxRefs {
		return
	}
	if w.seen == nil {
		w.seen = make(map[chunk.Ref]bool)
	}
	w.seen[f.ref] = true
	w.refs = append(w.refs, f.ref)
}
