// Certificates for tests, made by openssl.
#pragma once

// NAME.key and NAME.crt in the test's directory, signed by ISSUER ("": by itself), for the address or name.
void make_certificate(const char *name, const char *issuer, const char *subject, const char *days);
