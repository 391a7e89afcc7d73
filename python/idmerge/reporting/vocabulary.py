"""Names that events and properties go by: of sign-ups, purchases, amounts, campaigns and content.

Names are compared without case, blanks and punctuation: ``$sign_up``, ``Sign Up`` and ``signUp``
are one. In each list the surest name stands first.
"""

from __future__ import annotations

from idmerge.events import IDENTITY_EVENTS

SIGNUPS = (
    *("signupcompleted", "completedsignup", "signupcomplete", "completesignup", "signupsucceeded"),
    *("signupsuccess", "signupsuccessful", "signupfinished", "accountcreated", "createdaccount"),
    *("createaccount", "accountregistered", "usersignedup", "usersignup", "usercreated", "userregistered"),
    *("registrationcompleted", "completedregistration", "completeregistration", "registrationcomplete"),
    *("registered", "signedup", "signup", "registration", "register", "userregistration", "newuser"),
    *("customercreated", "joined", "trialstarted"),
)
NO_SIGNUPS = (
    "login",
    "loggedin",
    "logout",
    "loggedout",
    "signin",
    "signedin",
    "signout",
    "session",
    "open",
    "start",
)
"""Parts of the names of events that come when a person becomes known, too."""
PURCHASES = (
    *("purchase", "purchased", "purchasecompleted", "completedpurchase", "completepurchase"),
    *("ordercompleted", "completedorder", "ordercomplete", "completeorder", "orderplaced", "placedorder"),
    *("placeorder", "orderpaid", "ordercreated", "order", "ordered", "checkoutcompleted"),
    *("completedcheckout", "checkoutcomplete", "ecommercepurchase", "inapppurchase", "productpurchased"),
    *("itempurchased", "transactioncompleted", "transaction", "paymentsucceeded", "paymentcompleted"),
    *("paymentsuccessful", "paymentreceived", "paymentmade", "payment", "chargesucceeded", "charge"),
    *("invoicepaid", "subscriptionpurchased", "subscriptionstarted", "subscriptionrenewed", "bought", "buy"),
    "sale",
)
NO_PURCHASES = (
    "cart",
    "basket",
    "bag",
    "wishlist",
    "view",
    "click",
    "refund",
    "cancel",
    "fail",
    "checkoutstart",
)
"""Parts of the names of events that carry an amount and bring none."""
AMOUNTS = (
    *("revenue", "totalrevenue", "orderrevenue", "amount", "totalamount", "orderamount", "amountpaid"),
    *("purchaseamount", "paymentamount", "transactionamount", "total", "ordertotal", "grandtotal"),
    *("totalprice", "totalvalue", "ordervalue", "purchasevalue", "transactionrevenue", "transactiontotal"),
    *("trtotal", "value", "price", "subtotal", "cost"),
)
PAID = (
    "revenue",
    "totalrevenue",
    "orderrevenue",
    "amountpaid",
    "orderamount",
    "ordertotal",
    "purchaseamount",
)
"""Amounts that are paid, whatever the name of the event that has them."""
CURRENCIES = ("currency", "currencycode", "ordercurrency", "trcurrency", "pricecurrency")
CAMPAIGNS = (
    *("utmcampaign", "contextcampaignname", "mktcampaign", "campaign", "campaignname"),
    *("initialutmcampaign", "utmcampaignfirsttouch", "utmcampaignlasttouch", "campaignid", "adcampaign"),
    *("utmsource", "contextcampaignsource", "mktsource", "initialutmsource", "trafficsource"),
)
POSTS = (
    *("readpost", "postread", "readarticle", "articleread", "articleviewed", "viewedarticle", "viewarticle"),
    *("articleview", "postviewed", "viewedpost", "viewpost", "postview", "blogpostviewed", "blogpostread"),
    *("readblogpost", "viewedblogpost", "blogviewed", "blogview", "storyviewed", "contentviewed"),
    *("viewedcontent", "viewcontent", "contentview", "contentread"),
)
PAGES = (
    *("pageview", "pageviewed", "viewedpage", "viewpage", "pagevisited", "visitedpage", "mpwebpageview"),
    *("loadedapage", "pageloaded", "page", "screenview", "screenviewed", "viewedscreen", "screen"),
    *("productviewed", "viewedproduct", "viewproduct", "productview", "viewitem"),
)
CONTENTS = (
    *("post", "posttitle", "postslug", "postname", "postid", "article", "articletitle", "articleslug"),
    *("articlename", "articleid", "slug", "story", "contentname", "contenttitle", "contentid"),
    *("pagepath", "path", "pathname", "currenturlpath", "pageurlpath", "contextpagepath", "page"),
    *("pageurl", "url", "currenturl", "pagelocation", "contextpageurl", "pagename", "pagetitle", "title"),
    *("screen", "screenname", "productname", "product", "name", "productid", "sku", "itemname", "itemid"),
)
NESTED = ("context.campaign.name", "context.campaign.source", "context.page.path", "context.page.url")
"""Properties within others that are looked for where the first part is a column."""


def plain(name: str) -> str:
    """Return a name without case, blanks and punctuation.

    Examples:
        >>> from idmerge.reporting.vocabulary import plain
        >>> plain("Sign Up") == plain("$sign_up") == plain("signUp")
        True
    """
    return "".join(character for character in name.casefold() if character.isalnum())


CALLS = {*map(plain, IDENTITY_EVENTS), "identify", "alias", "group"}
"""Events that say who someone is, and nothing that people do."""


def rank(name: str, names: tuple[str, ...]) -> int | None:
    """Return the place of a name in a list; None if it is not there.

    Examples:
        >>> from idmerge.reporting.vocabulary import SIGNUPS, rank
        >>> rank("Signed up!", SIGNUPS) is None, rank("Log In", SIGNUPS) is None
        (False, True)
    """
    found = plain(name)
    return names.index(found) if found in names else None
