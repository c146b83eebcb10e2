package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// A row is a resource: its value is the body, its version the ETag, its type name the header Syncbase-Type.

const (
	// typeHeader has the type name of a value.
	typeHeader = "Syncbase-Type"
	// maxValue bounds the body of a row: a value with white space around it.
	maxValue = wire.MaxValueLen + 4<<10
	// rawType is the content type of values that are not JSON.
	rawType = "application/octet-stream"
)

func (g *Gateway) serveRow(w *paced, r *http.Request, p place) error {
	q, err := parameters(r, "batch")
	if err != nil {
		return err
	}
	switch r.Method {
	case http.MethodPut:
		return g.putRow(w, r, p, q.text("batch"))
	case http.MethodDelete:
		op := &nodev1.Op{Op: &nodev1.Op_Delete{Delete: &nodev1.Delete{Collection: p.collection, Key: p.key}}}
		return g.writeRow(w, r, p, q.text("batch"), op)
	default:
		return g.getRow(w, r, p, q.text("batch"))
	}
}

func (g *Gateway) getRow(w *paced, r *http.Request, p place, batch string) error {
	resp, err := g.client.Get(r.Context(), &nodev1.GetRequest{
		Database: p.database, Collection: p.collection, Key: p.key, Batch: batch,
	})
	if err != nil {
		return err
	}
	row, header := resp.GetRow(), w.Header()
	header.Set("Content-Type", jsonType)
	if row.GetRaw() {
		header.Set("Content-Type", rawType)
	}
	if row.GetType() != "" {
		header.Set(typeHeader, row.GetType())
	}
	if row.GetVersion() != "" {
		header.Set("ETag", tag(row.GetVersion()))
	}
	if row.GetUpdated().IsValid() && row.GetUpdated() != nil {
		header.Set("Last-Modified", row.GetUpdated().AsTime().Format(http.TimeFormat))
	}
	if row.GetVersion() != "" && lists(r.Header.Get("If-None-Match"), row.GetVersion()) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Length", strconv.Itoa(len(row.GetValue())))
	_, _ = w.Write(row.GetValue())
	return nil
}

func (g *Gateway) putRow(w *paced, r *http.Request, p place, batch string) error {
	raw, err := bodyIsRaw(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	value, done, err := g.readBody(w, r, min(g.opts.MaxBody, maxValue))
	if err != nil {
		return err
	}
	defer done()
	if !raw {
		value = bytes.TrimSpace(value)
	}
	if len(value) > wire.MaxValueLen {
		return bodyTooLarge(fmt.Sprintf("%d bytes, the limit is %d", len(value), wire.MaxValueLen))
	}
	put := &nodev1.Put{Collection: p.collection, Key: p.key, Value: value, Type: r.Header.Get(typeHeader), Raw: raw}
	return g.writeRow(w, r, p, batch, &nodev1.Op{Op: &nodev1.Op_Put{Put: put}})
}

// bodyIsRaw tells a value that is bytes from one that is JSON. What curl says when it is told nothing counts as JSON.
func bodyIsRaw(contentType string) (bool, error) {
	if contentType == "" {
		return false, nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
	case kind == rawType:
		return true, nil
	case kind == jsonType, kind == "application/x-www-form-urlencoded", strings.HasSuffix(kind, "+json"):
		return false, nil
	}
	return false, unsupported("CONTENT_TYPE", fmt.Sprintf("a value of type %q; %s is kept as bytes, %s as JSON", contentType, rawType, jsonType))
}

// written is the answer to a write.
type written struct {
	// Version is empty for a delete of what was not there, and in an open batch.
	Version string `json:"version"`
	// Existed tells of a delete whether the row was there; it is left out of other writes and in an open batch.
	Existed *bool `json:"existed,omitempty"`
}

// writeRow applies one operation, under the conditions that the request makes.
func (g *Gateway) writeRow(w *paced, r *http.Request, p place, batch string, op *nodev1.Op) error {
	check, err := condition(r.Header, p)
	if err != nil {
		return err
	}
	if batch != "" {
		if check != nil {
			return invalid("a write in an open batch takes no conditions: the batch itself fails when what it has read has changed")
		}
		if _, err := g.client.WriteBatch(r.Context(), &nodev1.WriteBatchRequest{Batch: batch, Ops: []*nodev1.Op{op}}); err != nil {
			return err
		}
		return answer(w, written{})
	}
	ops := []*nodev1.Op{op}
	if check != nil {
		ops = []*nodev1.Op{{Op: &nodev1.Op_Check{Check: check}}, op}
	}
	resp, err := g.client.Commit(r.Context(), &nodev1.CommitRequest{Database: p.database, Ops: ops})
	if err != nil {
		return unmet(check, r, err)
	}
	version := resp.GetVersions()[len(ops)-1]
	done := written{Version: version}
	if op.GetDelete() != nil {
		existed := version != ""
		done.Existed = &existed
	} else {
		w.Header().Set("ETag", tag(version))
	}
	return answer(w, done)
}

// unmet gives a check that failed the status that HTTP has for conditions.
func unmet(check *nodev1.Check, r *http.Request, err error) error {
	f := failureOf(err)
	if check != nil && f.Code == "ABORTED" {
		f.status = http.StatusPreconditionFailed
		if check.GetVersion() == noVersion {
			f.Message = fmt.Sprintf("If-Match is %s, which is the version of no row", r.Header.Get("If-Match"))
		}
	}
	return f
}

// noVersion stands for an ETag that is none of ours: no record has it.
var noVersion = id.Version{Writer: id.Writer{Epoch: 1<<32 - 1}, Gen: 1<<64 - 1}.String()

// versionOf reads an ETag. One that is weak, or no version, is that of no row: whoever may know of the row is told that the
// condition does not hold.
func versionOf(etag string) (version string, valid bool) {
	strong := strings.TrimPrefix(etag, "W/")
	if len(strong) < 3 || strong[0] != '"' || strings.IndexByte(strong[1:], '"') != len(strong)-2 {
		return "", false
	}
	version = strong[1 : len(strong)-1]
	if _, err := id.ParseVersion(version); err != nil || strong != etag {
		return noVersion, true
	}
	return version, true
}

// condition turns If-Match and If-None-Match into a check, nil for none.
func condition(header http.Header, p place) (*nodev1.Check, error) {
	match, none := header.Get("If-Match"), header.Get("If-None-Match")
	check := &nodev1.Check{Collection: p.collection, Key: p.key}
	switch {
	case match == "" && none == "":
		return nil, nil
	case match != "" && none != "":
		return nil, invalid("If-Match and If-None-Match cannot both hold")
	case none != "":
		if none != "*" {
			return nil, invalid("a write takes If-None-Match: * for a row that is not there, and no version")
		}
		check.Expected = &nodev1.Check_Absent{Absent: true}
	default:
		version, valid := versionOf(match)
		if !valid {
			return nil, invalid(fmt.Sprintf("If-Match is %s; a write takes one ETag, a version in double quotes", match))
		}
		check.Expected = &nodev1.Check_Version{Version: version}
	}
	return check, nil
}

// tag is the ETag of a version.
func tag(version string) string { return `"` + version + `"` }

// lists tells whether a list of ETags, or *, covers a version.
func lists(tags, version string) bool {
	for t := range strings.SplitSeq(tags, ",") {
		t = strings.TrimPrefix(strings.TrimSpace(t), "W/")
		if t == "*" || t == tag(version) {
			return true
		}
	}
	return false
}

func (g *Gateway) serveRows(w *paced, r *http.Request, p place) error {
	if r.Method == http.MethodDelete {
		return g.deleteRange(w, r, p)
	}
	return g.scan(w, r, p)
}

// deleteRange wants to be told of a range, so that a key that was forgotten does not delete everything.
func (g *Gateway) deleteRange(w *paced, r *http.Request, p place) error {
	q, err := parameters(r, "prefix", "start", "limit")
	if err != nil {
		return err
	}
	if len(q.values) == 0 {
		return invalid("what is to be deleted? Give prefix, or start or limit; an empty prefix means every row")
	}
	resp, err := g.client.DeleteRange(r.Context(), &nodev1.DeleteRangeRequest{
		Database: p.database, Collection: p.collection, Prefix: q.text("prefix"), Start: q.text("start"), Limit: q.text("limit"),
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(append(appendMessage(nil, resp.ProtoReflect()), '\n'))
	return nil
}

// scan writes one row a line.
func (g *Gateway) scan(w *paced, r *http.Request, p place) error {
	q, err := parameters(r, "prefix", "start", "limit", "max", "keys_only", "reverse", "batch")
	if err != nil {
		return err
	}
	req := &nodev1.ScanRequest{
		Database: p.database, Collection: p.collection, Prefix: q.text("prefix"), Start: q.text("start"), Limit: q.text("limit"),
		Max: q.number("max"), KeysOnly: q.flag("keys_only"), Reverse: q.flag("reverse"), Batch: q.text("batch"),
	}
	if q.err != nil {
		return q.err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stream, err := g.client.Scan(ctx, req)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", lineType)
	var buf []byte
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		buf = buf[:0]
		if err != nil {
			_, _ = w.Write(appendFailure(buf, failureOf(err)))
			return nil
		}
		for _, row := range resp.GetRows() {
			buf = append(appendRow(buf, row, !req.GetKeysOnly()), '\n')
		}
		if _, err := w.Write(buf); err != nil {
			return nil // the client has left
		}
		if w.FlushError() != nil {
			return nil
		}
	}
}
