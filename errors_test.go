package kindred_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// I10: what nobody says was done or not done may have been.
func TestAnErrorThatSaysNothingOfItsOutcomeLeavesItUnknown(t *testing.T) {
	require.Equal(t, kindred.Applied, kindred.OutcomeOf(nil))
	require.Equal(t, kindred.Unknown, kindred.OutcomeOf(errors.New("the line is dead")))
	require.Equal(t, kindred.Unknown, kindred.OutcomeOf(&kindred.Error{Code: kindred.CodeUnavailable}))
	told := fmt.Errorf("put: %w", &kindred.Error{Outcome: kindred.NotApplied})
	require.Equal(t, kindred.NotApplied, kindred.OutcomeOf(told))
}
