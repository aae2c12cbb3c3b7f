import { useEffect, useState } from "react";

/**
 * Takes one payment on a page of your own. `payable` is the id of the payment link, invoice or recurring payment that
 * your backend made with its secret key; the price is in there, and nothing in this page changes it.
 */
export function Checkout({ trousseau, payable, onPaid }) {
  const [offer, setOffer] = useState(null);
  const [network, setNetwork] = useState("");
  // What was started is kept: a reload goes on with it, and starts nothing anew.
  const [payment, setPayment] = useState(() => JSON.parse(sessionStorage.getItem(payable)));
  const [status, setStatus] = useState(payment);
  const [trouble, setTrouble] = useState(null);

  useEffect(() => {
    const abort = new AbortController();
    trousseau.payable(payable, { signal: abort.signal }).then(
      (found) => { setOffer(found); setNetwork(found.networks[0] ?? ""); },
      (error) => { if (!abort.signal.aborted) setTrouble(error); },
    );
    return () => abort.abort();
  }, [trousseau, payable]);

  useEffect(() => {
    if (!payment) return;
    return trousseau.watch(payment, {
      onChange: (now) => { setStatus(now); setTrouble(null); },
      onPaid,
      onEnd: () => sessionStorage.removeItem(payable),
      onError: setTrouble,
    });
  }, [trousseau, payable, payment, onPaid]);

  const start = async () => {
    try {
      const started = await trousseau.startPayment({ payable, network });
      sessionStorage.setItem(payable, JSON.stringify(started));
      setStatus(started);
      setPayment(started);
      setTrouble(null);
    } catch (error) {
      setTrouble(error);
    }
  };

  return (
    <section aria-labelledby="what">
      <h1 id="what">{offer ? `${offer.title ?? "Your order"}: ${offer.amount} ${offer.currency}` : "Your order"}</h1>
      {offer && !payment && (offer.payable ? (
        <>
          <label>
            Network{" "}
            <select value={network} onChange={(event) => setNetwork(event.target.value)}>
              {offer.networks.map((each) => <option key={each}>{each}</option>)}
            </select>
          </label>
          <button type="button" onClick={start}>Pay {offer.amount} {offer.currency}</button>
        </>
      ) : <p>This cannot be paid now: {offer.reason}.</p>)}
      {status && !status.paid && (
        <>
          <dl>
            <dt>Send exactly</dt><dd><data value={status.amount_remaining}>{status.amount_remaining}</data> {status.currency}</dd>
            <dt>on</dt><dd>{status.network}</dd>
            <dt>to</dt><dd><code>{status.address}</code></dd>
          </dl>
          <button type="button" onClick={() => trousseau.open(payment).catch(setTrouble)}>Show the payment page</button>
        </>
      )}
      <p role="status">{status && inWords(status)}</p>
      {trouble && (
        <p role="alert">
          {trouble.retrying ? "The connection is interrupted; trying again." : `${trouble.title}. ${trouble.advice}`}{" "}
          <code>{trouble.code}</code>
        </p>
      )}
    </section>
  );
}

function inWords(status) {
  if (status.paid) return `Paid: ${status.amount} ${status.currency}. Thank you!`;
  if (status.status === "processing" && status.confirmations === null) return "Seen. Waiting for the network to make it final.";
  if (status.status === "processing") return `Seen: ${status.confirmations} of ${status.confirmations_needed} confirmations.`;
  if (status.status === "expired") return "The time is over. What arrives now still counts.";
  if (status.status === "cancelled") return "This payment was called off.";
  if (status.exception === "partial") return `Something arrived; ${status.amount_remaining} ${status.currency} are missing.`;
  if (status.wrong_token) return "Another token arrived. It does not count.";
  if (status.network_delayed) return "The network is seen late at the moment. If you have paid, do not pay twice.";
  return status.status === "open" ? "Waiting for your payment." : "We are looking into this payment.";
}
