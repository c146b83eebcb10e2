package rows

import (
	"bytes"
	"fmt"
)

// unmet says why a row is not as expected, without its value, which may be large or not for everybody's eyes; empty if it is.
func (e *Expect) unmet(row *rowState) string {
	head := row.live()
	switch {
	case e.Absent && head == nil:
		return ""
	case e.Absent:
		return fmt.Sprintf("it is there, with version %s", head.Version)
	case head == nil:
		return "it is not there"
	case !e.Version.IsZero() && head.Version != e.Version:
		return fmt.Sprintf("it has version %s, not %s", head.Version, e.Version)
	case !e.Version.IsZero():
		return ""
	case !bytes.Equal(head.Value, e.Value):
		return fmt.Sprintf("its value, with version %s, is another than the one given, byte for byte", head.Version)
	case e.Type != "" && head.Type != e.Type:
		return fmt.Sprintf("its type is %q, not %q", head.Type, e.Type)
	}
	return ""
}

// unmetError is a check that failed. It is ErrConflict without a word of its own.
type unmetError struct{ text string }

func (e *unmetError) Error() string { return e.text }

func (e *unmetError) Unwrap() error { return ErrConflict }
