# The Guide and the API reference.

docs-guide = Guide
docs-reference = API reference
docs-sections = Documentation
docs-copy = Copy { $what }
docs-copied = Copied
docs-copy-failed = It was not copied. The text is selected: copy it by hand.

docs-first-call = Your first call
docs-why-keys = Why keys
docs-kinds = Kinds of keys and their forms
docs-business-id = The Business ID
docs-get-a-key = Get and install a key
docs-send-a-key = Send a key
docs-keep-secret = Keep keys secret
docs-test-and-live = TEST and LIVE
docs-checkout = Take payments in a page
docs-webhooks = Webhooks
docs-rotate = Rotate without downtime
docs-leaks = When a key leaks
docs-rules = Limits and the last key
docs-refusals = Why a call was refused

docs-previous = Previous
docs-next = Next
docs-written-for = Written for
docs-profiles = Profile
docs-the-command = the command
docs-the-page = the page

docs-contents-lead = Every call, with its parameters, its answers, its errors, and samples to paste.
docs-search = Search the reference
docs-search-button = Search
docs-search-clear = Show all calls
docs-found = { $count ->
    [one] { $count } call
   *[other] { $count } calls
}
docs-found-nothing = No call has all these words. Try fewer of them, or a part of a path.
docs-errors-lead = Errors are problems in the form of RFC 9457 with a stable code, and each has a page. Codat’s and Payline’s routes answer in the form that their clients expect.
docs-openapi = OpenAPI document
docs-back-to-contents = All calls

docs-who = Who may call
docs-who-everybody = Anybody
docs-who-keys = A key of a business
docs-who-basic-keys = A key of a business, as Authorization: Basic
docs-who-platform = A platform key of the operator
docs-scope = Required scope
docs-scope-none = None
docs-samples = Samples
docs-samples-note = The key comes from an environment variable, never from the code.
docs-parameters = Parameters
docs-body = Body
docs-body-required = JSON, required
docs-body-optional = JSON, may be left out
docs-answers = Answers
docs-errors = Errors
docs-members = Members
docs-the-example = the example
docs-the-business-id = the Business ID
docs-example-value = Example: { $value }
docs-required = required
docs-in-path = in the path
docs-in-query = in the query
docs-in-header = header
docs-no-body = Without a body.

docs-type-string = text
docs-type-instant = instant (RFC 3339)
docs-type-integer = whole number
docs-type-boolean = true or false
docs-type-array = list of: { $items }
docs-type-object = object
docs-type-any = any value
docs-type-or-null = { $kind }, or null
docs-limit-one-of = One of { $words }.
docs-limit-length = { $count } characters.
docs-limit-most-characters = At most { $count } characters.
docs-limit-between = From { $least } to { $most }.
docs-limit-least = At least { $least }.
docs-limit-most = At most { $most }.

docs-problem = Problem
docs-problem-code = Code
docs-problem-status = Status
docs-problem-do = What to do
docs-problem-again = If the same request is sent again
docs-problem-more = All reasons for a refusal
docs-again-change = It fails again: change it first.
docs-again-state = It fails until the state has changed that forbids it.
docs-again-later = It may succeed later. Wait as long as `Retry-After` says.
docs-again-internal = Whether the request had an effect is not known. With the same `Idempotency-Key` it can be repeated safely.
docs-again-unavailable = It may succeed later. With the same `Idempotency-Key` it is done at most once.
docs-again-unauthorized = It fails again. The answer is the same for an unknown key, one of another business or environment, and one that is revoked, rotated away, switched off, not yet valid or expired: only the owner of the key can learn which it was, by the request ID.

docs-try = Try it in TEST
docs-try-lead = The call runs on our side with the TEST key that you choose, and stands in the request log like any other. The value of the key is not shown; values in the answer are masked.
docs-try-key = TEST key
docs-try-send = Send in TEST
docs-try-answer = Answer
docs-try-the-answer = the answer
docs-try-time = { $count } ms
docs-try-headers = Headers of the answer
docs-try-no-key = None of your businesses has an active TEST key whose value can be read. Make one, then come back.
docs-try-sign-in = Sign in to try this call in TEST
docs-try-role = Administrators and developers of a business with a TEST environment can try this call here.
