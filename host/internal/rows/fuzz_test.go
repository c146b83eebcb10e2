package rows

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
)

var aWriter = id.Writer{Device: id.Device{1, 2, 3}, Epoch: 4}

func FuzzDecodeHead(f *testing.F) {
	v := id.Version{Writer: aWriter, Gen: 5}
	f.Add(appendHead(nil, &history.Head{Version: v, Time: 6, Value: []byte(`1`)}))
	f.Add(appendHead(nil, &history.Head{Version: v, Deleted: true, Seen: id.Vector{{Epoch: 9}: 3}, Tips: []id.Version{{Writer: id.Writer{Epoch: 9}, Gen: 3}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		head, err := decodeHead(data)
		if err != nil {
			return
		}
		again, err := decodeHead(appendHead(nil, &head))
		if err != nil || !again.SameContent(&head) || again.Version != head.Version {
			t.Errorf("%+v comes back as %+v, %v", head, again, err)
		}
	})
}

func FuzzDecodeLog(f *testing.F) {
	f.Add(appendLog(nil, logHeader{seq: 1, index: 2, count: 3, time: 4}, []byte("body")))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, body, err := decodeLog(data)
		if err != nil {
			return
		}
		h2, body2, err := decodeLog(appendLog(nil, h, body))
		if err != nil || h2 != h || !bytes.Equal(body, body2) {
			t.Errorf("%+v comes back as %+v, %v", h, h2, err)
		}
	})
}

func FuzzDecodeSeq(f *testing.F) {
	f.Add(appendSeq(nil, seqHead{ownGen: 7, used: 8}, []learned{{fromSync: true, writer: aWriter, first: 2, count: 3, time: 4, changes: []change{
		{coll: 1, version: id.Version{Writer: aWriter, Gen: 3}}, {coll: 2, version: id.Version{Writer: id.Writer{Epoch: 1}, Gen: 9}},
	}}}, []litter{{coll: 1, version: id.Version{Writer: aWriter, Gen: 2}}, {coll: 2, version: id.Version{Writer: id.Writer{Epoch: 1}, Gen: 3}, tomb: true}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		head, commits, left, err := decodeSeq(data)
		if err != nil {
			return
		}
		head2, commits2, left2, err := decodeSeq(appendSeq(nil, head, commits, left))
		if err != nil || head2 != head || len(commits2) != len(commits) || !slices.Equal(left2, left) {
			t.Errorf("%+v, %+v comes back as %+v, %+v, %v", head, commits, head2, commits2, err)
		}
	})
}

func FuzzDecodeLetter(f *testing.F) {
	f.Add((&Letter{
		Writer: aWriter, First: 2, Count: 3, Least: 3, Last: 4, Records: 2, Bytes: 60, Code: RefusedQuota, Reason: "quota exceeded",
		Collections: []id.Collection{notes}, Keys: []string{"k", ""}, From: owner, Since: time.UnixMicro(5), Tried: time.UnixMicro(6), Tries: 7,
	}).append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		key := letterKey(1, letterHead, 9)
		l, err := decodeLetter(key, data)
		if err != nil {
			return
		}
		again, err := decodeLetter(key, l.append(nil))
		if err != nil || !reflect.DeepEqual(l, again) {
			t.Errorf("%+v comes back as %+v, %v", l, again, err)
		}
	})
}
