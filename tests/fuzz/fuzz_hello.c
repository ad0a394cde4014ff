// The first message of a TLS connection, which anybody may have sent.
#include "fuzz.h"

#include "../../user/source/client_hello.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

FUZZ_TARGET(hello)
{
    char name[CLIENT_HELLO_NAME_MAX + 1] = "untouched";
    int error = client_hello_name(data, size, name);
    size_t length = strlen(name);
    if (error && strcmp(name, "untouched") != 0)
        abort();
    if (!error && (length == 0 || length > CLIENT_HELLO_NAME_MAX))
        abort();
    for (size_t i = 0; i < length; i++)
        if (isupper((unsigned char)name[i]) || (unsigned char)name[i] <= ' ')
            abort();
    return 0;
}
