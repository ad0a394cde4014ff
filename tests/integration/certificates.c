#include "certificates.h"

#include "harness.h"

void make_certificate(const char *name, const char *issuer, const char *subject, const char *days)
{
    const char *extensions = test_path("%s.ext", name), *request = test_path("%s.csr", name);
    write_file(extensions,
               *issuer ? format_text("subjectAltName=%s\n", subject) : "basicConstraints=CA:TRUE\n");
    _cleanup_free_ char *said = NULL, *signed_how = NULL;
    int code = run_captured(&said, "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                            "-nodes", "-subj", format_text("/CN=%s", name), "-keyout",
                            test_path("%s.key", name), "-out", request, NULL);
    if (code == 127)
        cr_skip_test("openssl is not installed");
    cr_assert_eq(code, 0, "%s", said);
    const char *signer = *issuer ? issuer : name;
    if (*issuer)
        code = run_captured(&signed_how, "openssl", "x509", "-req", "-in", request, "-CA",
                            test_path("%s.crt", signer), "-CAkey", test_path("%s.key", signer),
                            "-CAcreateserial", "-days", days, "-extfile", extensions, "-out",
                            test_path("%s.crt", name), NULL);
    else
        code = run_captured(&signed_how, "openssl", "x509", "-req", "-in", request, "-signkey",
                            test_path("%s.key", signer), "-days", days, "-extfile", extensions, "-out",
                            test_path("%s.crt", name), NULL);
    cr_assert_eq(code, 0, "%s", signed_how);
}
