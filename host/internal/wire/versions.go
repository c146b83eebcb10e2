package wire

import "github.com/syncbase/syncbase/host/internal/id"

// DecodeVersions reads a list that AppendVersions wrote and returns what follows it.
func DecodeVersions(data []byte, base id.Version) (list []id.Version, rest []byte, err error) {
	d := decoder{data: data}
	list = d.versions(base)
	return list, d.data, d.err
}
