// Package pemfile reads PEM (RFC 7468) so that nothing is lost in silence.
// encoding/pem passes over a block that it cannot decode and goes on with the next;
// a certificate whose END line is missing, or one damaged character, is then as if
// it had never been sent. Here every block is read or the error says which one
// cannot be, and where.
//
// What people's files have is read: a byte order mark, lines ended by CR or CRLF,
// indentation, text between blocks, two files joined without a line break.
package pemfile
