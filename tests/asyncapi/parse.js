// Reads an AsyncAPI document from standard input and prints what the official parser says of it, as JSON:
// {"diagnostics": [{"code", "severity", "message", "path"}], "operations": 38, "messages": 62}, without the counts
// when it can't be read.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const said = diagnostics.map(({ code, severity, message, path }) => ({ code, severity, message, path: path.join(".") }));
const counts = document && { operations: document.operations().all().length, messages: document.messages().all().length };
console.log(JSON.stringify({ diagnostics: said, ...counts }));
