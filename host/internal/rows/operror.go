package rows

import "fmt"

// OpError says which operation of a batch was refused.
type OpError struct {
	// Op is its position in the batch, from 0; Of is how many there are.
	Op, Of int
	// Err says why. It names the row, or the collection, where there is one.
	Err error
}

// Error counts from 1, as people do, and not at all where there is only one.
func (e *OpError) Error() string {
	if e.Of == 1 {
		return e.Err.Error()
	}
	return fmt.Sprintf("operation %d: %v", e.Op+1, e.Err)
}

func (e *OpError) Unwrap() error { return e.Err }

// atOp names the operation that an error is about.
func atOp(i int, ops []Op, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{Op: i, Of: len(ops), Err: err}
}

// refusal is ErrInvalid of what says enough without that word.
type refusal struct{ error }

func (r refusal) Unwrap() []error { return []error{ErrInvalid, r.error} }
