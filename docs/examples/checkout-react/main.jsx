import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Checkout } from "./Checkout.jsx";

// Put in when the page is built: no key stands in the source. All three may be seen by anybody.
const { TROUSSEAU_URL, CHECKOUT_KEY, BUSINESS } = process.env;
const { Trousseau } = await import(`${TROUSSEAU_URL}/trousseau.mjs`);

// What is to be paid is your backend's to say.
const { payable } = await (await fetch("/order.json")).json();

const trousseau = Trousseau({ key: CHECKOUT_KEY, business: BUSINESS });
const thank = (status) => { document.title = `Paid: ${status.amount} ${status.currency}`; };

createRoot(document.getElementById("shop")).render(
  <StrictMode>
    <Checkout trousseau={trousseau} payable={payable} onPaid={thank} />
  </StrictMode>,
);
