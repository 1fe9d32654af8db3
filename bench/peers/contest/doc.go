// Package contest runs those who are compared, each in processes of its own on this
// machine, and knows how to ask each of them the same questions.
//
// A [Contestant] is a cluster of three nodes on loopback, or a floor. Its
// [Question] says what is asked and what an answer means. Starting one may fail
// for want of its program: that is a [*MissingError], which says what to install.
package contest
