package core

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// R8: a delete by name that is sent twice has deleted what its first attempt had
// read. What the second one reads belongs to others: a client that goes on with
// the receipt must not delete it unseen. The simulator found it.
func TestTheReceiptOfARetriedDeleteCoversOnlyWhatItDeleted(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "old"))
	byName := del("k")
	byName.RequestID = kindred.RequestID{1}
	require.Nil(t, r.do("n1", byName).Err)
	r.do("n2", put("k", "of somebody else"))

	again := r.do("n1", byName)
	require.Nil(t, again.Err)
	require.Nil(t, r.do("n1", seen(put("k", "mine"), again.Context)).Err)
	require.ElementsMatch(t, []string{"of somebody else", "mine"}, values(r.do("n3", get("k"))))
	r.idle()
}
