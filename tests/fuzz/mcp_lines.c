/* Lines from any bytes are the same however the bytes are cut, none is empty, and none holds a line end. */
#include <stdlib.h>
#include "base/check.h"
#include "mcp/framing/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads it in pieces of |piece| bytes; *ret_hash sums the lines up. */
static unsigned read_all(const uint8_t *data, size_t size, size_t piece, uint64_t *ret_hash)
{
    struct agw_mcp_lines lines = {0};
    struct agw_block *line;
    unsigned count = 0;
    uint64_t hash = 1;
    for (size_t at = 0; at < size; at += piece) {
        struct agw_str rest = agw_str((const char *)data + at, size - at < piece ? size - at : piece);
        int rc;
        while ((rc = agw_mcp_lines_next(&lines, &rest, &line)) == 1) {
            agw_check(line->len > 0 && !memchr(line->data, '\n', line->len));
            for (uint32_t i = 0; i < line->len; i++)
                hash = hash * 31 + line->data[i];
            hash = hash * 31 + '\n';
            count++;
            agw_block_unref(line);
        }
        agw_check(rc == 0 && rest.n == 0);
    }
    agw_mcp_lines_free(&lines);
    *ret_hash = hash;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole, pieces, bytes;
    unsigned count = read_all(data, size, size ? size : 1, &whole);
    agw_check(read_all(data, size, 3, &pieces) == count && pieces == whole);
    agw_check(read_all(data, size, 1, &bytes) == count && bytes == whole);
    return 0;
}
