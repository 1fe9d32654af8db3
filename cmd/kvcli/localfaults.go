package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/transport/faults"
)

func (a *app) localCut() *cobra.Command {
	var oneWay bool
	c := &cobra.Command{
		Use: "cut SIDES", Aliases: []string{"partition"},
		Short: "Cut the network between two sides", Args: cobra.ExactArgs(1),
		Long: `Cut loses what the nodes of one side send to those of the other, data and gossip,
as if the network lost every packet: connections stall, new ones cannot be made.
With --one-way only what the left side sends is lost. Clients still reach every
node. Nodes on neither side keep talking to everyone.

Cuts add up and outlive restarts, until 'kvcli local heal'.`,
		Example: `  kvcli local cut 1,2/3,4,5
  kvcli local cut n1/n2 --one-way
  kvcli local partition 1/2,3`,
		RunE: func(cmd *cobra.Command, args []string) error {
			sides, err := local.ParseSides(args[0])
			if err != nil {
				return usageError{cmd, err}
			}
			return a.onFaults(func(c *local.Cluster) error {
				unlisted, err := c.Cut(cmd.Context(), sides, oneWay)
				if err != nil {
					return err
				}
				if len(unlisted) > 0 {
					a.note("%s: on neither side, so still talking to everyone.", strings.Join(unlisted, ", "))
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&oneWay, "one-way", false, "lose only what the left side sends")
	return c
}

func (a *app) localSlow() *cobra.Command {
	return &cobra.Command{
		Use: "slow N DELAY", Short: "Make everything late that a node sends to others", Args: cobra.ExactArgs(2),
		Long: `Slow delays everything that a node sends to other nodes, data and gossip. What it
sends to clients is not delayed. A delay of 0s ends it, as does 'kvcli local heal'.`,
		Example: "  kvcli local slow 2 50ms\n  kvcli local slow n2 0s",
		RunE: func(cmd *cobra.Command, args []string) error {
			delay, err := time.ParseDuration(args[1])
			if err != nil {
				return usageError{cmd, badDelay(args[1])}
			}
			return a.onFaults(func(c *local.Cluster) error { return c.Slow(cmd.Context(), args[0], delay) })
		},
	}
}

// badDelay says why a text is no delay: it is given in milliseconds, mostly.
func badDelay(text string) error {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return fmt.Errorf("a delay of %s: %v what? Give a unit, such as %vms", text, n, n)
	}
	return fmt.Errorf("a delay of %s: use a number and a unit, such as 50ms or 2s, up to %v", text, faults.DelayMax)
}

func (a *app) localHeal() *cobra.Command {
	return &cobra.Command{
		Use: "heal", Short: "End all cuts and all slowness", Args: cobra.NoArgs,
		Long: `Heal ends every cut and all slowness. Links are back within a second; nodes that
took others for dead meet them again within about ten. A paused node stays paused.`,
		Example: "  kvcli local heal",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onFaults(func(c *local.Cluster) error { return c.Heal(cmd.Context()) })
		},
	}
}

// onFaults changes what is made to go wrong, and shows what it is then.
func (a *app) onFaults(change func(*local.Cluster) error) error {
	c, err := local.Open(a.dir)
	if err != nil {
		return err
	}
	if err := change(c); err != nil {
		return err
	}
	return a.printLocal(c, statusAlone)
}

// faultsText says in a cell what is made to go wrong.
func faultsText(f local.NodeFaults) string {
	var parts []string
	if f.Any() {
		parts = append(parts, f.String())
	}
	if f.Pending {
		parts = append(parts, "not told while paused")
	}
	return strings.Join(parts, "; ")
}
