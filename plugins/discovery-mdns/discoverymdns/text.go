package discoverymdns

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// The TXT record of a node has these strings, each at most maxString bytes:
//
//	v=1            the version of this layout; others are ignored
//	id=...         the node id
//	r0=... r1=...  the record, in pieces
//	g0=... g1=...  the groups, each after a byte with its length, in pieces
//	a0=... a1=...  one address each, an IPv6 link-local one without a zone
//
// Bytes are in base64 without padding. Addresses come last: when the space is used up, the remaining ones are left out.
const (
	layoutVersion = "1"
	maxString     = 254
	maxText       = 1300
	// maxStrings bounds what is read; more than this cannot come from a node that keeps to maxText with sense.
	maxStrings = 64
)

var encoding = base64.RawStdEncoding

// writeText encodes a valid advert whose addresses are those of one link. All but the addresses of the largest advert
// fits into maxText.
func writeText(advert discovery.Advert) []string {
	out := []string{"v=" + layoutVersion, "id=" + encoding.EncodeToString(advert.NodeID)}
	out = appendPieces(out, "r", advert.Record)
	var groups []byte
	for _, g := range advert.Groups {
		groups = append(groups, byte(len(g)))
		groups = append(groups, g...)
	}
	out = appendPieces(out, "g", groups)
	size := 0
	for _, s := range out {
		size += 1 + len(s)
	}
	for i, address := range advert.Addresses {
		s := "a" + strconv.Itoa(i) + "=" + address
		if size += 1 + len(s); size > maxText || len(s) > maxString {
			break
		}
		out = append(out, s)
	}
	return out
}

func appendPieces(out []string, key string, data []byte) []string {
	text := encoding.EncodeToString(data)
	for i := 0; text != ""; i++ {
		prefix := key + strconv.Itoa(i) + "="
		n := min(len(text), maxString-len(prefix))
		out = append(out, prefix+text[:n])
		text = text[n:]
	}
	return out
}

var errForeign = errors.New("the TXT record is not of a known layout")

// readText decodes what a node on the link has announced. Addresses that are of no use there are left out.
func readText(texts []string, on link) (discovery.Advert, error) {
	values := make(map[string]string, len(texts))
	for _, s := range texts[:min(len(texts), maxStrings)] {
		key, value, found := strings.Cut(s, "=")
		if _, twice := values[key]; found && !twice {
			values[key] = value
		}
	}
	if values["v"] != layoutVersion {
		return discovery.Advert{}, errForeign
	}
	var a discovery.Advert
	var err error
	if a.NodeID, err = encoding.DecodeString(values["id"]); err != nil {
		return a, fmt.Errorf("node id: %w", err)
	}
	if a.Record, err = joinPieces(values, "r"); err != nil {
		return a, fmt.Errorf("record: %w", err)
	}
	packed, err := joinPieces(values, "g")
	if err != nil {
		return a, fmt.Errorf("groups: %w", err)
	}
	if a.Groups, err = splitGroups(packed); err != nil {
		return a, err
	}
	for i := range discovery.MaxAddresses {
		if address, ok := readAddress(values["a"+strconv.Itoa(i)], on); ok {
			a.Addresses = append(a.Addresses, address)
		}
	}
	return a, a.Validate()
}

func joinPieces(values map[string]string, key string) ([]byte, error) {
	var text strings.Builder
	for i := range maxStrings {
		piece, found := values[key+strconv.Itoa(i)]
		if !found {
			break
		}
		text.WriteString(piece)
	}
	if text.Len() == 0 {
		return nil, nil
	}
	return encoding.DecodeString(text.String())
}

func splitGroups(packed []byte) ([][]byte, error) {
	var groups [][]byte
	for len(packed) > 0 {
		n := int(packed[0])
		if len(packed) < 1+n {
			return nil, fmt.Errorf("a group of %d bytes has only %d", n, len(packed)-1)
		}
		groups = append(groups, packed[1:1+n:1+n])
		packed = packed[1+n:]
	}
	return groups, nil
}

// readAddress makes what a neighbour on the link has announced usable here.
func readAddress(s string, on link) (string, bool) {
	host, port, ok := splitAddress(s)
	if !ok || host == "" {
		return "", false
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return s, isHostName(host)
	}
	ip = ip.Unmap().WithZone("")
	switch {
	case ip.IsUnspecified(), ip.IsMulticast(), ip.IsLoopback() && !on.loopback:
		return "", false
	case ip.Is6() && ip.IsLinkLocalUnicast():
		ip = ip.WithZone(on.name)
	}
	return netip.AddrPortFrom(ip, port).String(), true
}

// isHostName accepts names as DNS has them, and no others.
func isHostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for _, label := range strings.Split(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, nameBytes) != "" {
			return false
		}
	}
	return true
}

const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
