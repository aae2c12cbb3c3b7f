// Texts that are to stay texts.

/** Texts that markup, scripts, formulas and terminals would take for more than text. */
export const CORPUS = [
  "<script>globalThis.hacked = 1</script>",
  "\"><img src=x onerror=\"globalThis.hacked = 1\">",
  "'-globalThis.hacked=1-'",
  "</textarea></title></style><svg onload=globalThis.hacked=1>",
  "javascript:globalThis.hacked=1",
  "{{ 7 * 7 }} ${7 * 7} {% include \"x\" %}",
  "&lt;b&gt;&amp;&#39;",
  "=HYPERLINK(\"http://localhost\",\"x\")",
  "a\u202Eb\u2066c",
  "a\u0000b\u0007c\u001b[31m",
];
